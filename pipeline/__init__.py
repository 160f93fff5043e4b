"""What Lamplighter knows: pure, values in, values out.

The trip of a clip, station by station:

    camera -> Clip -> luma -> Activity -> [Event] -> Request match -> consent -> Cut -> bytes -> object store -> Record
              nouns   media   measure     detection  case             case       media          storage

- the nouns lie on top: `span`, `clip`, `layout`, `activity`, `actor`, `errors`
- `media` decodes a clip into luma planes with exact pts, and cuts it by packets or by encoding
- `measure` makes an `Activity` of luma: how much of each cell moved in each frame, with no threshold of anybody's
- `detection` makes events of an `Activity` under an operator's settings; it never sees a pixel
- `case` says what may be asked, what matches, whose word is needed, and what the one who asked may see

One direction: no station looks back. What runs them is in `workers`, what keeps their outcome in `storage`.
"""
