"""What every editor's plug-in shares. Knows no toolkit and no editor.

Needs the standard library and pyzmq, and runs on Python 3.9 and later, since the editors bring
their own Python.
"""
