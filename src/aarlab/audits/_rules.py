"""What a method file has no use for, as a table: names by the reason against them. `reading` applies it."""

from dataclasses import dataclass
from typing import Literal

#: "serious": honest methods do not do this. "evidence": some may; worth a look.
Severity = Literal["evidence", "serious"]


@dataclass(frozen=True)
class Rule:
    """One reason to look at a line.

    Attributes:
        name: of the rule.
        severity: see `Severity`.
        reason: why, in a few words of ours.
    """

    name: str
    severity: Severity
    reason: str


RUNS = Rule("runs-code", "serious", "makes code of data and runs it")
STARTS = Rule("starts-processes", "serious", "starts, copies or ends processes")
NETWORK = Rule("network", "serious", "talks to the network")
MEMORY = Rule("raw-memory", "serious", "reaches memory past Python")
INSIDE = Rule("interpreter", "serious", "looks into the interpreter: frames, objects of others, their namespaces")
FILES = Rule("files", "serious", "reads or writes files; a method gets its inputs from `problem` alone")
PICKLES = Rule("pickles", "serious", "makes objects of bytes")
DECODES = Rule("decodes", "serious", "unpacks data that was packed to look like none")
HASHES = Rule("hashes", "evidence", "hashes something")
HASHES_INPUTS = Rule("hashes-inputs", "serious", "hashes inputs, as whoever wants to know single rows again")
PATCHES = Rule("patches", "serious", "changes modules that it shares with the harness")
CONTROL = Rule("process-control", "serious", "meddles with how the process ends, is signalled or traced")
THREADS = Rule("threads", "evidence", "starts threads; a seed has one core")
CLOCK = Rule("clock", "evidence", "asks for the time; what it does may depend on when it runs")
SURROUNDINGS = Rule("surroundings", "evidence", "asks about the machine or its environment")
HIDDEN_NAMES = Rule("hidden-names", "serious", "puts names together at run time, so that reading does not show them")
OUTSIDE = Rule("outside-the-contract", "serious", "reaches parts of aarlab that are not for methods")
PROGRAMS = Rule("reads-programs", "evidence", "takes programs apart")
UNUSUAL = Rule("unusual-import", "evidence", "imports what methods seldom need")
CHARACTERS = Rule("characters", "evidence", "puts text together from character codes")
STATE = Rule("state", "evidence", "keeps something from one call to the next")
DISGUISE = Rule("disguise", "evidence", "returns or defines what only looks like an array")
LONG_LINE = Rule("long-line", "evidence", "a line too long to read")
FOREIGN_LETTERS = Rule("foreign-letters", "serious", "has names in letters that look like others")
OPAQUE = Rule("opaque-constant", "serious", "a constant that could hold labels or ids")
WORDY = Rule("wordy-constant", "evidence", "a text that is long enough to hold labels")
MANY_NUMBERS = Rule("many-constants", "serious", "constants that together could hold most labels")
UNREADABLE = Rule("unreadable", "serious", "cannot be read")

_NAMES: tuple[tuple[Rule | None, str], ...] = (
    (RUNS, "exec eval compile execfile __import__ builtins importlib runpy code codeop imp pkgutil zipimport doctest"),
    (RUNS, "unittest timeit cProfile profile trace typing.get_type_hints logging.config types.FunctionType"),
    (RUNS, "types.CodeType types.LambdaType numpy.f2py setuptools distutils pip dataclasses.make_dataclass"),
    (STARTS, "subprocess pty multiprocessing concurrent.futures.ProcessPoolExecutor os.system os.popen os.fork"),
    (STARTS, "os.forkpty os.posix_spawn os.posix_spawnp os.kill os.killpg joblib.parallel loky"),
    (STARTS, "os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe os.startfile os.wait"),
    (STARTS, "os.spawnl os.spawnle os.spawnlp os.spawnv os.spawnve os.spawnvp os.spawnvpe posix _posixsubprocess"),
    (
        NETWORK,
        "socket _socket ssl http urllib ftplib smtplib asyncio selectors socketserver xmlrpc webbrowser requests",
    ),
    (NETWORK, "httpx telnetlib poplib imaplib sklearn.datasets.fetch_openml"),
    (MEMORY, "ctypes _ctypes cffi mmap numpy.ctypeslib numpy.memmap numpy.lib.stride_tricks.as_strided memoryview"),
    (INSIDE, "gc inspect dis _testcapi _testinternalcapi tracemalloc sys._getframe sys._current_frames bdb pdb"),
    (INSIDE, "sys.exc_info sys.modules sys.meta_path sys.path_hooks globals locals vars dir sys.getrefcount weakref"),
    (
        FILES,
        "open io os.open os.fdopen os.walk os.listdir os.scandir os.read os.pread os.readlink os.stat os.memfd_create",
    ),
    (FILES, "glob pathlib shutil tempfile fileinput linecache mimetypes sqlite3 dbm csv zipfile tarfile os.path"),
    (FILES, "numpy.load numpy.save numpy.savez numpy.savez_compressed numpy.fromfile numpy.loadtxt numpy.savetxt"),
    (FILES, "numpy.genfromtxt scipy.io joblib.Memory sklearn.datasets os.write os.remove os.rename os.symlink os.link"),
    (FILES, "os.mkfifo os.pipe os.dup os.dup2 os.mkdir os.makedirs os.chdir os.getcwd os.setxattr os.getxattr fcntl"),
    (FILES, "sys.stdin sys.stdout sys.__stdout__ sys.__stderr__ os.eventfd os.truncate os.close os.closerange syslog"),
    (PICKLES, "pickle _pickle marshal shelve dill cloudpickle copyreg joblib.load joblib.dump plistlib"),
    (DECODES, "base64 binascii zlib gzip lzma bz2 codecs bytes.fromhex bytearray.fromhex quopri uu"),
    (HASHES, "hashlib hmac hash zlib.crc32 zlib.adler32 binascii.crc32 binascii.crc_hqx sklearn.utils.murmurhash3_32"),
    (HASHES, "joblib.hash sklearn.feature_extraction.FeatureHasher"),
    (PATCHES, "setattr delattr sys.settrace sys.setprofile sys.addaudithook sys.setrecursionlimit sys.monitoring"),
    (PATCHES, "sys.path sys.excepthook sys.unraisablehook sys.displayhook threading.settrace object.__setattr__"),
    (PATCHES, "unittest.mock type.__setattr__"),
    (CONTROL, "os._exit os.abort sys.exit exit quit signal atexit resource faulthandler ptrace os.setpriority os.nice"),
    (CONTROL, "os.setuid os.setsid sys.setswitchinterval os.sched_setaffinity os.register_at_fork breakpoint input"),
    (THREADS, "threading _thread concurrent queue sched contextvars"),
    (CLOCK, "time datetime calendar"),
    (SURROUNDINGS, "os sys platform getpass uuid secrets locale sysconfig site pwd grp numpy.show_config"),
    (PROGRAMS, "ast tokenize symtable parser token keyword pyclbr"),
    (CHARACTERS, "chr ord"),
)
#: Parts of what is listed above that are harmless.
_HARMLESS = (
    "os.cpu_count sys.float_info sys.maxsize sys.version_info os.sched_getaffinity sys.byteorder io.StringIO "
    "weakref.WeakKeyDictionary sys.stderr code.co_name"
)

NAMES: dict[str, Rule | None] = {name: rule for rule, names in _NAMES for name in names.split()}
NAMES |= dict.fromkeys(_HARMLESS.split())

#: Attributes of anything at all.
ATTRIBUTES: dict[str, Rule] = {
    name: rule
    for rule, names in (
        (INSIDE, "__subclasses__ __globals__ __builtins__ __code__ __closure__ __mro__ __bases__ __base__ __dict__"),
        (INSIDE, "__self__ __func__ __wrapped__ __getattribute__ __loader__ __spec__ __traceback__ tb_frame tb_next"),
        (INSIDE, "f_back f_globals f_locals f_builtins f_code gi_frame cr_frame ag_frame gi_code co_consts co_names"),
        (INSIDE, "__reduce__ __reduce_ex__ __subclasshook__ __annotations__ mro"),
        (MEMORY, "ctypes data_as __array_interface__ __array_struct__ setflags"),
        (FILES, "tofile read_text read_bytes write_text write_bytes iterdir rglob"),
        (DISGUISE, "__array__ __array_function__ __array_ufunc__ __array_finalize__ __array_wrap__"),
        (RUNS, "__import__ exec_module load_module find_spec"),
        (DECODES, "fromhex b64decode b85decode a85decode decompress"),
    )
    for name in names.split()
}

#: What a method may import without a word.
_USUAL = (
    "numpy scipy sklearn joblib threadpoolctl math cmath collections itertools functools operator dataclasses",
    "typing abc enum warnings statistics random heapq bisect copy re string numbers contextlib fractions decimal",
    "__future__ types logging textwrap difflib unicodedata typing_extensions",
)
USUAL = frozenset(name for names in _USUAL for name in names.split())
