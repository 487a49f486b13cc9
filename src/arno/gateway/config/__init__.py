"""`arno.toml`: from a file to what is served, every value with the place where it was said.

toml_lines   where each key of a text stands
schema       what may be said: tables, keys, types, ranges
problems     what is wrong, with file, line and expectation; all of it at once
read         a parsed document as the schema's structs
load         the file is found and read; the command line goes over it
secrets      keys by reference: environment variables and files
upstreams    providers: which are on, where they are, whose key they get
offers       models, aliases and prices
resolve      all of it together: the configuration
report       what would be served, for people and as JSON
starter      the file that `arno init` writes
"""
