"""Tables of the people of a node: accounts, roles, certificates, the authority table, conversions (R26, R29, R37, R50).

Nothing here is ever removed except a role; what ended keeps its row, because it decides about documents of then. Every
change is kept in ``account_history`` with who made it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from transport.store.columns import Identity, identity


class Account(SQLModel, table=True):
    """A person with an account of the node; one owner per account (R94)."""

    name: str = Field(primary_key=True)
    full_name: str
    added_at: int = Field(sa_type=BigInteger)
    disabled_at: int | None = Field(default=None, sa_type=BigInteger)
    last_login: int | None = Field(default=None, sa_type=BigInteger)


class AccountRole(SQLModel, table=True):
    """A role of an account (console.md 7)."""

    __tablename__ = "account_role"
    __table_args__ = (CheckConstraint("role IN ('clerk', 'leader', 'auditor', 'admin')", name="account_role_word"),)

    account: str = Field(foreign_key="account.name", primary_key=True)
    role: str = Field(primary_key=True)
    since: int = Field(sa_type=BigInteger)


class AccountCertificate(SQLModel, table=True):
    """A certificate that is a person's, known by serial and issuer (R37)."""

    __tablename__ = "account_certificate"
    __table_args__ = (UniqueConstraint("serial", "issuer", name="account_certificate_key"),)

    id: int | None = Field(default=None, sa_column=identity())
    account: str = Field(foreign_key="account.name", index=True)
    serial: str
    issuer: str
    sha256: str
    data: bytes = Field(sa_type=LargeBinary)
    added_at: int = Field(sa_type=BigInteger)


class Authority(SQLModel, table=True):
    """An entry of the authority table (R26); ``types`` and ``areas`` are JSON lists."""

    id: int | None = Field(default=None, sa_column=identity())
    account: str = Field(foreign_key="account.name", index=True)
    agency: str
    capacity: str
    position: str
    types: str
    areas: str
    valid_from: str
    valid_to: str | None = None
    basis: str
    source: int | None = Field(default=None, sa_column=Column(Identity, ForeignKey("authority.id"), nullable=True))
    ended_on: str | None = None
    added_at: int = Field(sa_type=BigInteger)


class KeyRight(SQLModel, table=True):
    """A clerk's right to the agency's key for a period, by a permission (R29)."""

    __tablename__ = "key_right"

    id: int | None = Field(default=None, sa_column=identity())
    account: str = Field(foreign_key="account.name", index=True)
    agency: str
    certificate: str | None = None
    valid_from: str
    valid_to: str | None = None
    basis: str
    ended_on: str | None = None
    added_at: int = Field(sa_type=BigInteger)


class AccountHistory(SQLModel, table=True):
    """What was changed of an account, when and by whom; ``entry`` is the account as JSON after the change."""

    __tablename__ = "account_history"

    id: int | None = Field(default=None, sa_column=identity())
    account: str = Field(index=True)
    at: int = Field(sa_type=BigInteger)
    actor: str
    action: str
    entry: str


class Conversion(SQLModel, table=True):
    """A document converted between paper and file: mark, time and who did it (R50); ``number`` of copies on paper."""

    __table_args__ = (UniqueConstraint("agency", "year", "number", name="conversion_number"),)

    id: int | None = Field(default=None, sa_column=identity())
    agency: str
    form: str
    direction: str
    at: int = Field(sa_type=BigInteger)
    person: str
    document: str
    sha256_in: str | None = Field(default=None, index=True)
    sha256_out: str | None = Field(default=None, index=True)
    year: int | None = None
    number: int | None = None
