"""`python -m workflow_scripts.progress`."""

from workflow_scripts.progress.report import main

if __name__ == "__main__":
    main()
