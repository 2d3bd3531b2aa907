"""Lists of everybody in a table of events, with Spark; Spark keeps the output, this project only scores.

    spark-submit --py-files examples/spark/histories.py examples/spark/recommend.py MODEL EVENTS OUTPUT [K]

EVENTS: Parquet with user, item, timestamp. OUTPUT: a folder that Spark writes, with user, rank, item, score.
"""

import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

sys.path.insert(0, str(Path(__file__).parent))
import histories


def main(model: str, events: str, output: str, k: str = "10") -> None:
    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.addPyFile(histories.__file__)
    # As the batch scorer reads a table: by time, ties by item, of an item that comes again the latest.
    latest = spark.read.parquet(events).groupBy("user", "item").agg(f.max("timestamp").alias("timestamp"))
    ordered = f.array_sort(f.collect_list(f.struct("timestamp", "item")))
    of_users = latest.groupBy("user").agg(ordered.getField("item").alias("items"))
    lists = of_users.mapInArrow(histories.lists_of(model, int(k)), histories.SCHEMA)
    lists.write.mode("overwrite").parquet(output)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
