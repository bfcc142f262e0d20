"""The right to drive a study, kept in its database, for studies that several machines can reach."""

import threading
import time
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sql

from sweeper.storage.databases import engine_options
from trainables.errors import ConfigError, TrialError

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0  # without a beat; several times longer than a server may take to answer one
MARGIN_SECONDS = 10.0  # before the lease runs out, at which its holder stops to trust it

# Seconds by the clock of the database, so that the clocks of the drivers' machines do not matter.
_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": "unix_timestamp(now(6))",
    "mariadb": "unix_timestamp(now(6))",
}

_LEASES = sql.Table(
    "sweeper_leases",
    sql.MetaData(),
    sql.Column("study", sql.String(512), primary_key=True),
    sql.Column("token", sql.String(64), nullable=False),
    sql.Column("holder", sql.String(512), nullable=False),
    sql.Column("beat", sql.Float(53), nullable=False),
)


class Lease:
    """One study's lease, held by ``with``: a row that a thread renews every `BEAT_SECONDS`.

    A holder that stops renewing (killed, or cut off) loses the lease after `STALE_SECONDS`: then another may
    take it, and the old one stops itself at its next `check`. Each step is one conditional statement of the
    database, so of two that try at once one gets it. token: whose lease it is; who comes back with the token
    of a driver that was killed gets the lease at once. holder: in words, for whoever is refused.

    ``with`` raises `ConfigError` if another holds the study. Tested on PostgreSQL and SQLite.
    """

    def __init__(self, url: str, study: str, *, token: str, holder: str) -> None:
        self._study, self._token, self._holder = study, token, holder
        self._engine = sql.create_engine(url, **engine_options(url))
        self._now: Any = sql.literal_column(_NOW[self._engine.dialect.name], sql.Float)
        self._row = _LEASES.c.study == study
        self._renewed = (0.0, 0.0)
        self._lost = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._create()
        asked = _clocks()
        if not self._take():
            raise ConfigError(self._refusal())
        self._renewed = asked
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        try:
            with self._engine.begin() as connection:
                connection.execute(_LEASES.delete().where(self._row, _LEASES.c.token == self._token))
        except sql.exc.DBAPIError:
            pass  # the database is gone; the lease runs out by itself
        finally:
            self._engine.dispose()

    def check(self) -> None:
        """Raise `TrialError` unless the lease is still held; costs nothing while it is renewed in time."""
        if not self._lost and self._age() > STALE_SECONDS - MARGIN_SECONDS:
            try:
                self._renew()  # this machine slept, perhaps, and nobody came
            except sql.exc.DBAPIError:
                self._lost = True
        if self._lost:
            raise TrialError(
                f"the lease on study '{self._study}' was lost: its database was not reached for "
                f"{STALE_SECONDS:.0f} s, and another driver may have the study now; start again to go on"
            )

    def _age(self) -> float:
        """Return the seconds since the last beat; the second clock goes on while the machine sleeps."""
        return max(now - then for now, then in zip(_clocks(), self._renewed, strict=True))

    def _create(self) -> None:
        try:
            _LEASES.metadata.create_all(self._engine)
        except (sql.exc.ProgrammingError, sql.exc.IntegrityError, sql.exc.OperationalError):
            _LEASES.metadata.create_all(self._engine)  # another driver made it at the same moment

    def _take(self) -> bool:
        with self._engine.begin() as connection:
            mine = (_LEASES.c.token == self._token) | (_LEASES.c.beat < self._now - STALE_SECONDS)
            if connection.execute(self._update(mine)).rowcount:
                return True
        try:
            with self._engine.begin() as connection:
                values = {"study": self._study, "token": self._token, "holder": self._holder}
                connection.execute(_LEASES.insert().values(**values, beat=self._now))
            return True
        except sql.exc.IntegrityError:
            return False

    def _update(self, condition: Any) -> Any:
        return (
            _LEASES.update()
            .where(self._row, condition)
            .values(token=self._token, holder=self._holder, beat=self._now)
        )

    def _renew(self) -> None:
        asked = _clocks()
        with self._engine.begin() as connection:
            held = connection.execute(self._update(_LEASES.c.token == self._token)).rowcount
        if held:
            self._renewed = asked
        else:
            self._lost = True

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS) and not self._lost:
            try:
                self._renew()
            except sql.exc.DBAPIError:
                continue  # the server restarts, perhaps; `check` knows how old the last beat is

    def _refusal(self) -> str:
        with self._engine.connect() as connection:
            age = (self._now - _LEASES.c.beat).label("age")
            row = connection.execute(sql.select(_LEASES.c.holder, age).where(self._row)).first()
        holder, age = (row.holder, float(row.age)) if row else ("another process", 0.0)
        return (
            f"expected study '{self._study}' to be free, but {holder} is running it (a sign of life "
            f"{max(0.0, age):.0f} s ago); wait for it or stop it, then start again; a driver that died is "
            f"taken to be gone {STALE_SECONDS:.0f} s after its last sign"
        )


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()
