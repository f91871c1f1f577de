"""The demo's recording: one week of a small software team, made by a program so that anybody can make it again.

`python -m tools.week` writes `demo/week.ndjson.gz`. Each line is `{"at": when it arrived, "line": the envelope}`, or `"raw"` with the
text where what arrived was no envelope. The same seed gives the same lines; the times are shifted when the recording is played.
"""
