"""A shop's tables as such shops have them: text SKUs, ISO times, event types, categories and prices.

In: nothing. Out: rows whose right answers follow from how they are made: customers of even number buy garden tools,
the others toys; everybody looks at both, and buys some things twice.
"""

from datetime import datetime, timedelta

import polars as pl

KINDS = ("toys", "garden")
MONDAY = datetime(2024, 1, 1, 8)
WEIGHTS = {"view": 1.0, "cart": 2.0, "purchase": 5.0}


def sku(number: int) -> str:
    """`00042` or `B00042`: some have letters, some are digits alone."""
    return f"{number:05}" if number % 3 else f"B{number:05}"


def products(number: int = 30, unsold: int = 2) -> pl.DataFrame:
    """(sku, name, category, price, brand); the last `unsold` occur in no event."""
    rows = range(number + unsold)
    return pl.DataFrame(
        {
            "sku": [sku(n) for n in rows],
            "name": [f"{('Bear', 'Rake')[n % 2]} no. {n}" for n in rows],
            "category": [KINDS[n % 2] for n in rows],
            "price": [5.0 + n for n in rows],
            "brand": [f"brand {n % 5}" for n in rows],
        }
    )


def bought(customer: int, step: int, number: int) -> int:
    """Which product a customer buys at a step, of an even number of them: of the customer's own kind."""
    return (2 * (customer // 2 + step) + customer % 2) % number


def events(customers: int = 40, number: int = 30) -> pl.DataFrame:
    """(customer, sku, event_type, event_time, session): views, carts and purchases, in no order of customers."""
    rows = []
    for customer in range(customers):
        for step in range(12):
            item = bought(customer, step, number)
            time = MONDAY + timedelta(days=step, minutes=customer)
            rows.append((f"c-{customer}", sku((item + 1) % number), "view", time))
            rows += [
                (f"c-{customer}", sku(item), event, time + timedelta(seconds=10 * n))
                for n, event in enumerate(("view", "cart", "purchase"), 1)
                if step % 3 != 2 or event == "view"
            ]
        rows.append(
            (f"c-{customer}", sku((customer * 7 + customer % 2) % number), "purchase", time + timedelta(days=1))
        )
    table = pl.DataFrame(rows, schema=["customer", "sku", "event_type", "event_time"], orient="row")
    written = pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return table.with_columns(written, pl.lit("s").alias("session")).sample(fraction=1, shuffle=True, seed=1)
