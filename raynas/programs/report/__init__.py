"""Reports: a document as plain values (document), its writers (html, markdown), charts, and files (folder).

What a report says is elsewhere: about a run in run/, about a benchmark in raynas/programs/benchmark/report/.
"""
