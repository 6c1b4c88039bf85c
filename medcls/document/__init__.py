"""A document as data: sections of text, tables and pictures, and its tables as files for papers."""
