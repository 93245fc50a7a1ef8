"""Children of one run side by side: their cells, curves and sizes, as a document for a writer of reports."""
