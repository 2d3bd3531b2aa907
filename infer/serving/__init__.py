"""Lists over HTTP: what `python -m infer.serve` answers with, on the public Python API and published lists.

In: open models, published lists and limits. Out: an ASGI application and a server that reloads what changes.

    python -m infer.serve --model hybrid.onnx --lists hybrid.topk.parquet

    limits      what a request may ask for, and how much is done at once
    bodies      requests and answers, as pydantic checks and describes them
    problems    answers that are none: problem+json
    users       published lists by user
    loaded      what is served now, and putting new files in its place
    work        a bounded number of calls at once
    answers     a request and a model to a list
    measured    figures for Prometheus
    guard       who may ask
    endpoints, application, description    the paths, and what OpenAPI says of them
    server      uvicorn, signals, the watch over files
"""
