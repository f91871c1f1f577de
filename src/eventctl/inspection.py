"""Looks at a cartridge's code without running it: what it imports, what it would do when it is loaded, how it hides what it does.

This finds what is written plainly and the usual ways around that. It is no wall - code can always be written so that nobody sees
what it does - the wall is the worker that it runs in.
"""

from __future__ import annotations

import ast
import builtins
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_REACHES = {
    "files": "_io builtins dbm fileinput filecmp glob io mmap os pathlib posix posixpath shelve shutil sqlite3 tempfile tokenize",
    "the network": "ftplib http httpx imaplib nntplib poplib requests select selectors smtplib socket socketserver ssl telnetlib "
    "urllib urllib3 webbrowser xmlrpc aiohttp",
    "other programs": "fcntl multiprocessing pexpect platform popen2 pty sh signal subprocess",
    "machine code": "_ctypes cffi ctypes numba",
    "the interpreter itself": "__main__ _imp _thread ast atexit bdb cProfile code codeop dis ensurepip faulthandler gc imp importlib "
    "inspect linecache pdb pip pkg_resources pkgutil pydoc resource runpy setuptools site sys sysconfig threading timeit trace "
    "traceback tracemalloc venv weakref zipimport",
    "code that is hidden in data": "_pickle cloudpickle copyreg dill joblib jsonpickle marshal pickle pickletools plistlib yaml",
    "an event loop of its own": "asyncio anyio concurrent trio",
}
REACHING = {module: what for what, modules in _REACHES.items() for module in modules.split()}
"""Modules that have no place in a cartridge, which never waits for the world, and what each reaches."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLAIN = _words(
    "__future__ abc array base64 binascii bisect calendar collections colorsys contextlib copy dataclasses datetime decimal difflib "
    "enum eventctl fnmatch fractions functools graphlib hashlib heapq hmac html itertools json keyword math numbers operator orjson "
    "random re statistics string struct textwrap time types typing unicodedata urllib.parse uuid zlib zoneinfo"
)
"""Modules that compute and nothing else. Of eventctl itself only `OFFERED`."""

OFFERED = _words("eventctl eventctl.contracts eventctl.event eventctl.testing")
"""Of eventctl itself: what cartridges are written with. `Workspace` and `open` would open a workspace."""

_OPENING = _words("Executor Workspace hookimpl open")

CHANGING = {
    "random": "a run that is repeated gets other numbers",
    "time": "a run that is repeated sees another time (context.now is the event's), and `sleep` holds everybody up",
    "uuid": "a run that is repeated gets other ids",
}
"""Plain modules that make a repeated run another run, and how."""

_HIDES = {
    "__import__": "imports what nobody can see here",
    "breakpoint": "opens a debugger",
    "compile": "makes code out of text",
    "delattr": "takes things out of other objects",
    "eval": "runs text as code",
    "exec": "runs text as code",
    "exit": "ends whoever runs it",
    "globals": "reaches names by text",
    "input": "waits for a person",
    "help": "waits for a person",
    "locals": "reaches names by text",
    "open": "reaches files",
    "quit": "ends whoever runs it",
    "setattr": "changes other objects",
    "vars": "reaches names by text",
    "__builtins__": "reaches what Python keeps for itself",
    "__loader__": "reaches what Python keeps for itself",
    "__spec__": "reaches what Python keeps for itself",
}
_INNER = _words(
    "__base__ __bases__ __builtins__ __closure__ __code__ __dict__ __func__ __getattribute__ __globals__ __import__ __loader__ "
    "__mro__ __reduce__ __reduce_ex__ __self__ __subclasses__ __wrapped__ cr_frame f_back f_builtins f_globals f_locals gi_frame "
    "tb_frame ag_frame"
)
"""Attributes that lead from any object to everything that Python has loaded."""

_LEADING = _words("_io _os _sys _thread builtins codecs ctypes gc importlib io marshal os pickle posix socket subprocess sys")
"""Modules that plain ones have as attributes: `dataclasses.sys` is `sys`."""

_MADE_OF_TEXT = _words(
    "string.Formatter types.CodeType types.FunctionType types.LambdaType types.ModuleType typing.ForwardRef typing.get_type_hints"
)
"""Parts of plain modules that make code, or reach attributes, by text."""

_MAKING = _words(
    "abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float format frozenset "
    "hash hex int isinstance issubclass iter len list map max memoryview min next object oct ord pow property range repr reversed round "
    "set slice sorted staticmethod str sum super tuple type zip NotImplemented Ellipsis __debug__ __doc__ __name__"
) | {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
"""What is there without an import and makes values, and does nothing."""


class Sight(NamedTuple):
    """What was seen, each as (line, sentence or name). `imports` are full names, sorted.

    `hiding` is what hides what the code does, `doing` what it would do when it is loaded; `calling` calls things of its own then,
    which may do anything. `size` is the code's, in bytes.
    """

    imports: tuple[str, ...] = ()
    hiding: tuple[tuple[int, str], ...] = ()
    doing: tuple[tuple[int, str], ...] = ()
    calling: tuple[tuple[int, str], ...] = ()
    size: int = 0


def look(code: bytes) -> Sight:
    """What there is to see in the code. Raises nothing for code that `package.of` let through; what cannot be parsed shows nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Sight()
    imports = _imports(tree)
    loading = _Loading(tree)
    return Sight(
        tuple(sorted({name for names in imports for name in names})),
        tuple(dict.fromkeys(_hiding(tree))),
        tuple(dict.fromkeys(loading.doing)),
        tuple(dict.fromkeys(loading.calling)),
        len(code),
    )


def reach(name: str) -> str | None:
    """What the import of this full name reaches, "" for a plain one, None for one that is not known here."""
    parts = name.split(".")
    if parts[0] == "eventctl":
        inside = ".".join(parts[:2])
        named = len(parts) == 2 and parts[1][:1].isupper() and parts[1] not in _OPENING
        return "" if inside in OFFERED or named else "the inside of eventctl"
    if name in _MADE_OF_TEXT:
        return "code that is made of text"
    for end in range(len(parts), 0, -1):
        front = ".".join(parts[:end])
        if front in PLAIN:
            return next((what for part in parts[end:] if (what := _within(part, parts[end - 1]))), "")
        if front in REACHING:
            return REACHING[front]
    return None


def _within(part: str, module: str) -> str:
    """What a part of a plain module reaches: another module that it uses itself, or what is its own business."""
    if part in REACHING:
        return REACHING[part]
    if part.startswith("_") and not part.endswith("__"):
        return "what a module keeps for itself"
    known = part == module or part in PLAIN or part not in sys.stdlib_module_names
    return "" if known else "what a module uses itself"


def _imports(tree: ast.AST) -> Iterator[list[str]]:
    """Full names of what is imported, and of what is reached through it: `urllib.request` after `import urllib.parse`."""
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield [alias.name for alias in node.names]
            called |= {alias.asname or alias.name.partition(".")[0]: alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            front = "." * node.level + (node.module or "")
            yield [f"{front}.{alias.name}" for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in called:
            name = f"{called[node.value.id]}.{node.attr}"
            yield [name] if reach(name) else []


def _hiding(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _HIDES and isinstance(node.ctx, ast.Load):
            yield node.lineno, f"`{node.id}` {_HIDES[node.id]}"
        elif isinstance(node, ast.Attribute) and (node.attr in _INNER or node.attr in _LEADING):
            what = (
                "everything that Python has loaded"
                if node.attr in _INNER
                else REACHING.get(node.attr, "what a module uses itself")
            )
            yield node.lineno, f"`.{node.attr}` reaches {what}"
        elif isinstance(node, ast.Name) and node.id == "getattr":
            yield node.lineno, "`getattr` reaches attributes by text"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "__" in node.value:
            found = next((name for name in sorted(_INNER) if name.startswith("__") and name in node.value), None)
            if found:
                yield node.lineno, f"the text {found!r} names what leads to everything that Python has loaded"


class _Loading:
    """What runs when the module is loaded: everything but the bodies of functions."""

    def __init__(self, tree: ast.Module) -> None:
        self.doing: list[tuple[int, str]] = []
        self.calling: list[tuple[int, str]] = []
        self._plain: set[str] = set()
        self._own: set[str] = set()
        self._later = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
        self._bound(tree.body)
        self._block(tree.body)

    def _bound(self, body: Iterable[ast.stmt]) -> None:
        """Names that the module gives itself: of plain modules, or of its own."""
        for node in body:
            if isinstance(node, ast.Import):
                self._plain |= {alias.asname or alias.name.partition(".")[0] for alias in node.names if reach(alias.name) == ""}
            elif isinstance(node, ast.ImportFrom):
                plain = {alias.asname or alias.name for alias in node.names if reach(f"{node.module}.{alias.name}") == ""}
                self._plain |= plain
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._own.add(node.name)
            elif isinstance(node, ast.If | ast.Try):
                self._bound([inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)])
            else:
                targets = (
                    inner for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
                )
                self._own |= {target.id for target in targets}

    def _block(self, body: Iterable[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._function(node)
            elif isinstance(node, ast.ClassDef):
                self._decorators(node)
                self._expressions([*node.bases, *node.keywords])
                self._bound(node.body)
                self._block(node.body)
            elif isinstance(node, ast.If):
                self._expressions([node.test])
                self._block([*node.body, *node.orelse])
            elif isinstance(node, ast.Try):
                self._block([*node.body, *node.orelse, *node.finalbody])
                for handler in node.handlers:
                    self._expressions([handler.type] if handler.type else [])
                    self._block(handler.body)
            elif isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign):
                self._expressions([node])
            elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
                self.doing.append((node.lineno, f"a statement ({type(node).__name__.lower()}) runs"))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorators(node)
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        annotations = [argument.annotation for argument in arguments] + [node.returns]
        self._expressions(filter(None, [*given.defaults, *given.kw_defaults, *([] if self._later else annotations)]))

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self._expressions([decorator])
            if not isinstance(decorator, ast.Call):
                self._called(decorator)

    def _expressions(self, nodes: Iterable[ast.AST]) -> None:
        todo = list(nodes)
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Lambda):
                todo += filter(None, [*node.args.defaults, *node.args.kw_defaults])
                continue
            if isinstance(node, ast.comprehension):
                self._own |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
            if isinstance(node, ast.Call):
                self._called(node.func)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                self.calling.append((node.lineno, "a power may take for ever to compute"))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self._named(node)
            # What a comprehension goes through comes first: it names what the rest of it uses.
            todo += sorted(ast.iter_child_nodes(node), key=lambda child: isinstance(child, ast.comprehension))

    def _named(self, node: ast.Name) -> None:
        """A name that is used when the module is loaded: whatever does something may be called by who is given it."""
        if node.id not in self._plain | self._own | _MAKING:
            self.doing.append((node.lineno, f"`{node.id}` is used"))

    def _called(self, function: ast.expr) -> None:
        """A call when the module is loaded: of what makes values, or of something of its own."""
        root = function
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if isinstance(root, ast.Name):
            if root.id in self._own:
                self.calling.append((function.lineno, f"`{root.id}` is called"))
        elif isinstance(function, ast.Subscript) or not isinstance(
            root, ast.Call | ast.Constant | ast.JoinedStr | ast.List | ast.Dict | ast.Set | ast.Tuple
        ):
            self.calling.append((function.lineno, "something is called"))
