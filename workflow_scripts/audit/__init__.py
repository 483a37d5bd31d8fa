"""The audit: is a result what its provenance says, and is that still what the study asks for?"""
