"""The desk: the only way from a door to what lies below.

Open it with `lamplighter.desk.desk.open_desk` for an `Actor`; `Desk` lists every operation there is, `roles` says who
may do which. The other modules do the work: `register` cameras and owners, `intake` and `live` clips, `cases` requests
and answers, `delivery` what leaves, `show` what is told. `books` writes down what came of each clip.
"""
