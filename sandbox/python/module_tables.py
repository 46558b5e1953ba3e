"""Which modules are offered by default, and which of their names.

A name that is not in a module's `__all__` (or begins with an underscore, where there is none) is never offered, nor is
a module inside a module: `json.codecs`, `re.enum` and `datetime.sys` are ways out. The tables narrow that further.
"""

from collections.abc import Collection, Iterator
from typing import Final

from sandbox.python.words import words

DEFAULT_MODULES: Final[tuple[str, ...]] = words("""
    json csv html email re string textwrap unicodedata difflib math cmath decimal fractions numbers random statistics
    datetime time calendar zoneinfo collections itertools functools operator array heapq bisect queue copy enum typing
    dataclasses abc types io base64 hashlib hmac binascii struct secrets zlib gzip bz2 lzma urllib.parse uuid contextlib
    weakref asyncio logging warnings traceback pprint ipaddress graphlib
    """)

SUBMODULES: Final[dict[str, tuple[str, ...]]] = {
    "collections": ("abc",),
    "html": ("entities", "parser"),
    "json": ("decoder", "encoder"),
    "email": words("""
        charset contentmanager encoders errors generator header headerregistry iterators message mime parser policy
        utils
        """),
    "email.mime": ("application", "audio", "base", "image", "message", "multipart", "nonmultipart", "text"),
}
"""Modules that come with a package."""

ONLY: Final[dict[str, frozenset[str]]] = {
    name: frozenset(offered.split())
    for name, offered in {
        "abc": "ABC abstractmethod abstractclassmethod abstractproperty abstractstaticmethod",
        # No loops, no processes, no threads, no streams, no sight of other runs' tasks.
        "asyncio": """
            sleep gather wait wait_for as_completed timeout create_task iscoroutine iscoroutinefunction
            Lock Semaphore BoundedSemaphore Event Condition Barrier Queue PriorityQueue LifoQueue
            FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED
            TimeoutError CancelledError BrokenBarrierError QueueEmpty QueueFull QueueShutDown
        """,
        "bz2": "BZ2Compressor BZ2Decompressor compress decompress",
        "dataclasses": """
            dataclass field fields asdict astuple replace is_dataclass FrozenInstanceError InitVar KW_ONLY MISSING
        """,  # make_dataclass would make classes from names that nobody checked
        "gzip": "BadGzipFile compress decompress",
        "hmac": "HMAC compare_digest digest new",
        "io": "BytesIO StringIO SEEK_CUR SEEK_END SEEK_SET TextIOWrapper UnsupportedOperation",
        "lzma": """
            CHECK_CRC32 CHECK_CRC64 CHECK_ID_MAX CHECK_NONE CHECK_SHA256 CHECK_UNKNOWN FILTER_ARM FILTER_ARMTHUMB
            FILTER_DELTA FILTER_IA64 FILTER_LZMA1 FILTER_LZMA2 FILTER_POWERPC FILTER_SPARC FILTER_X86 FORMAT_ALONE
            FORMAT_AUTO FORMAT_RAW FORMAT_XZ LZMACompressor LZMADecompressor LZMAError MF_BT2 MF_BT3 MF_BT4 MF_HC3
            MF_HC4 MODE_FAST MODE_NORMAL PRESET_DEFAULT PRESET_EXTREME compress decompress is_check_supported
        """,
        # What is made of code, frames and dicts of names stays out: FunctionType, CodeType, new_class, coroutine, …
        # So does GenericAlias, which stands for any object.
        "types": """
            AsyncGeneratorType BuiltinFunctionType BuiltinMethodType CoroutineType DynamicClassAttribute EllipsisType
            GeneratorType MappingProxyType MethodType NoneType NotImplementedType SimpleNamespace UnionType
        """,
        # `uuid1` and `getnode` start processes to find a network address.
        "uuid": """
            UUID uuid3 uuid4 uuid5 SafeUUID NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 RESERVED_NCS
            RESERVED_FUTURE RESERVED_MICROSOFT RFC_4122
        """,
        "weakref": """
            ref proxy getweakrefcount getweakrefs ProxyType CallableProxyType WeakKeyDictionary WeakMethod WeakSet
            WeakValueDictionary
        """,  # what a `finalize` callback raises is swallowed, a deadline too; so is what a ReferenceType calls
    }.items()
}
"""Modules of which only these names are offered."""

ALSO: Final[dict[str, tuple[str, ...]]] = {
    "contextlib": ("AsyncContextDecorator",),
    "email.message": ("MIMEPart",),
    "email.policy": ("SMTPUTF8",),
    "email.utils": ("localtime",),
    "enum": ("show_flag_values",),
    "hashlib": ("scrypt",),
}
"""Names that are documented and that their module's `__all__` leaves out."""

NEVER: Final[dict[str, frozenset[str]]] = {
    name: frozenset(withheld.split())
    for name, withheld in {
        "csv": "field_size_limit",  # one number for every run
        "email.charset": "add_alias add_charset add_codec",  # the same
        "email.headerregistry": "HeaderRegistry",  # makes subclasses of any class it is given
        "calendar": "prmonth prcal prweek main different_locale",
        "contextlib": "redirect_stdout redirect_stderr chdir",  # they change the process, for every run
        "enum": """
            EnumMeta EnumType EnumDict global_enum global_enum_repr global_flag_repr global_str pickle_by_enum_name
            pickle_by_global_name
        """,  # metaclasses, and what writes into modules
        "string": "Formatter",  # its fields read attributes of any name
        "time": "clock_settime clock_settime_ns pthread_getcpuclockid tzset",
        # These evaluate annotations that are strings, or print to the worker's own output.
        "typing": "ForwardRef get_type_hints no_type_check no_type_check_decorator reveal_type evaluate_forward_ref",
        "zoneinfo": "reset_tzpath TZPATH",
    }.items()
}
"""Names that are public in their module and still not offered."""


def offered_modules(allowed: Collection[str]) -> Iterator[str]:
    """The modules that may be named in an `import` when these are allowed: they and what comes with them."""
    pending = list(allowed)
    while pending:
        name = pending.pop()
        yield name
        pending.extend(f"{name}.{inner}" for inner in SUBMODULES.get(name, ()))
