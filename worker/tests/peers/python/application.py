"""An application with SQLAlchemy beside the worker: it adds rows, changes its own columns, and reads.

Reads {databaseUrl, insert: [row], update: [row]}; what to update is found by `email`. Creates the table if it is
missing. Prints all rows in the order of their addresses. Times are in milliseconds since the epoch.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from sqlalchemy import DateTime, String, create_engine, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Base(DeclarativeBase):
    pass


class Account(Base):
    """Times without a zone are UTC; `credits`, `seen_at` and `left_at` are written by the application alone."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    clerk_id: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(DateTime)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    credits: Mapped[int] = mapped_column(server_default="10")
    seen_at: Mapped[datetime | None] = mapped_column(DateTime)
    left_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


COLUMNS = Account.__table__.columns


def from_json(name, value):
    kind = COLUMNS[name].type
    if value is None or not isinstance(kind, DateTime):
        return value
    time = EPOCH + timedelta(milliseconds=value)
    return time if kind.timezone else time.replace(tzinfo=None)


def to_json(value):
    if not isinstance(value, datetime):
        return value
    time = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return (time - EPOCH) // timedelta(milliseconds=1)


question = json.load(sys.stdin)
engine = create_engine(make_url(question["databaseUrl"]).set(drivername="postgresql+psycopg"))
Base.metadata.create_all(engine)
with Session(engine) as session:
    for row in question["insert"]:
        session.add(Account(**{name: from_json(name, value) for name, value in row.items()}))
    for row in question["update"]:
        account = session.scalars(select(Account).where(Account.email == row["email"])).one()
        for name, value in row.items():
            setattr(account, name, from_json(name, value))
    session.commit()
    accounts = session.scalars(select(Account).order_by(Account.email))
    print(json.dumps([{name: to_json(getattr(account, name)) for name in COLUMNS.keys()} for account in accounts]))
