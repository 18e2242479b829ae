"""The base error and what every error of the package owes its reader.

AarlabError
├── RemoteError       a remote model could not be asked                      (students)
├── TestbedError      a testbed or pack is missing, damaged, or unresolved   (testbeds)
├── SandboxError      untrusted code could not be run, or broke a limit      (sandbox)
├── MethodError       a submitted method broke its contract                  (evaluation)
├── ApiError          the server refused or could not answer                 (api)
├── MirrorError       the forum's copy in a workspace cannot be written      (api)
└── StudyError        a study cannot start, go on, or be found               (studies)
"""


class AarlabError(Exception):
    """Base of all errors that aarlab raises on purpose.

    Attributes:
        message: what went wrong, in one sentence.
        advice: what the reader can do next; empty if there is nothing to do.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()
