"""What the endpoints share: the keys from the start, and what answers once it has started."""

from serving.admission import Admission
from serving.engine import Engine
from serving.errors import DrainingError
from serving.keys import ApiKeys
from serving.settings import Settings


class Endpoints:
    """What the endpoints need; `engine` and `admission` are there once the service has started.

    Parameters
    ----------
    settings
        How the service runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = ApiKeys(settings.keys)
        self.engine: Engine | None = None
        self.admission: Admission | None = None

    def start(self, engine: Engine) -> None:
        """Begin to answer."""
        self.engine = engine
        self.admission = Admission(engine.most_in_flight, engine.metrics)

    @property
    def ready(self) -> bool:
        """Return whether requests would be answered now."""
        return (
            self.engine is not None
            and self.admission is not None
            and not self.admission.draining
            and self.engine.gateway.down_since is None
        )

    def running(self) -> tuple[Engine, Admission]:
        """Return the parts that answer.

        Raises
        ------
        DrainingError
            If the service has not started.
        """
        if self.engine is None or self.admission is None:
            raise DrainingError("the service has not started yet; try again")
        return self.engine, self.admission
