"""The one exception that means: the user can mend this."""


class StudyError(Exception):
    """Bad input in one line: the file or config key, what was expected, what to do. Shown without a traceback."""
