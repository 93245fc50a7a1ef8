"""Reports: a document as plain values (document), as HTML and Markdown, with charts, in a folder of its own.

What a report says is elsewhere: of a run in raynas/report/run/.
"""
