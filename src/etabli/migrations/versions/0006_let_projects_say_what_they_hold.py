"""Let projects say what they are for, and which data they hold.

Came with Etabli 0.1.0.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("projects") as projects:
        projects.add_column(sa.Column("description", sa.Text(), server_default="", nullable=False))
        projects.add_column(sa.Column("data_class", sa.String(length=40), server_default="", nullable=False))
