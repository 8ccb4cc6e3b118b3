from .GObject import Object

class File(Object):
    def get_path(self) -> str | None: ...  # None for one that is not local
    def get_uri(self) -> str: ...
