-- What that code writes into it.
INSERT INTO audit (seq, hash)
  VALUES (1, '9a10be7e38a4e7d31e78c6df1acbe1fd55e7ca92e9978340e6b242a7dcde96b2');
INSERT INTO audit (seq, hash)
  VALUES (2, 'f18cda0ee1d1f37ec951587bbcf028971e3a1075460291a482d3ad76c7c85e51');
INSERT INTO cameras (id, lon, lat, owner, sharing)
  VALUES ('a', 11.5, 48.1, 'owner-1', 'always');
INSERT INTO cameras (id, lon, lat, owner, sharing)
  VALUES ('b', 0.30000000000000004, 48.1, 'owner-2', 'ask');
INSERT INTO clips (camera, start_ns, id, end_ns, document)
  VALUES ('a', 1772363400000000000, '56817388d8674d795aa5', 1772367000000000000, '{"activity": "activity/a/20260301T111000.000000000Z-56817388d8674d795aa5-1-0.npz", "clip": {"camera": "a", "key": "clips/a/1772363400000000000.mp4", "sha256": "abababababababababababababababababababababababababababababababab", "size": 1000, "start_ns": 1772363400000000000, "stream": {"audio": null, "codec": "h264", "end_pts": 55296000, "first_pts": 0, "frames": 900, "height": 1080, "time_base": "1/15360", "width": 1920}}, "source": "a.mp4", "version": "1-0"}');
INSERT INTO clips (camera, start_ns, id, end_ns, document)
  VALUES ('a', 1772366400000000000, '7a2f13f59524aeb574d8', 1772366460000000000, '{"activity": "activity/a/20260301T120000.000000000Z-7a2f13f59524aeb574d8-1-0.npz", "clip": {"camera": "a", "key": "clips/a/1772366400000000000.mp4", "sha256": "abababababababababababababababababababababababababababababababab", "size": 1000, "start_ns": 1772366400000000000, "stream": {"audio": null, "codec": "h264", "end_pts": 921600, "first_pts": 0, "frames": 900, "height": 1080, "time_base": "1/15360", "width": 1920}}, "source": "a.mp4", "version": "1-0"}');
INSERT INTO clips (camera, start_ns, id, end_ns, document)
  VALUES ('a', 1772367000000000000, '7ed0f75d6db07891f1f4', 1772367060000000000, '{"activity": "activity/a/20260301T121000.000000000Z-7ed0f75d6db07891f1f4-1-0.npz", "clip": {"camera": "a", "key": "clips/a/1772367000000000000.mp4", "sha256": "abababababababababababababababababababababababababababababababab", "size": 1000, "start_ns": 1772367000000000000, "stream": {"audio": null, "codec": "h264", "end_pts": 921600, "first_pts": 0, "frames": 900, "height": 1080, "time_base": "1/15360", "width": 1920}}, "source": "a.mp4", "version": "1-0"}');
INSERT INTO clips (camera, start_ns, id, end_ns, document)
  VALUES ('b', 1772366400000000000, 'f9a105f9c2906071299c', 1772366470470400000, '{"activity": "activity/b/20260301T120000.000000000Z-f9a105f9c2906071299c-1-0.npz", "clip": {"camera": "b", "key": "clips/b/1772366400000000000.mp4", "sha256": "abababababababababababababababababababababababababababababababab", "size": 1099511627776, "start_ns": 1772366400000000000, "stream": {"audio": "aac", "codec": "h264", "end_pts": 1600, "first_pts": -512, "frames": 8589934592, "height": 1080, "time_base": "1001/30000", "width": 1920}}, "source": "ü '' 日本.mp4", "version": "1-0"}');
INSERT INTO decisions (request, owner, document)
  VALUES ('rd8386a60aea9', 'owner-2', '{"clips": ["f9a105f9c2906071299c"], "decided_ns": 1772366400000000000, "owner": "owner-2", "request": "rd8386a60aea9"}');
INSERT INTO decisions (request, owner, document)
  VALUES ('rd8386a60aea9', 'owner-1', '{"clips": [], "decided_ns": 1772366400000000000, "owner": "owner-1", "request": "rd8386a60aea9"}');
INSERT INTO deliveries (request, cut, document)
  VALUES ('rd8386a60aea9', '3a31de845f71bf6282c8', '{"actual": {"end_ns": 1772366460000000000, "start_ns": 1772366400000000000}, "asked": {"end_ns": 1772368200000000000, "start_ns": 1772366400000000000}, "audio": null, "clip": "7a2f13f59524aeb574d8", "codec": "h264", "cut": "3a31de845f71bf6282c8", "frames": 900, "height": 1080, "key": "cases/rd8386a60aea9/3a31de845f71bf6282c8.mp4", "method": "remux", "request": "rd8386a60aea9", "sha256": "abababababababababababababababababababababababababababababababab", "size": 900, "source_sha256": "abababababababababababababababababababababababababababababababab", "tools": "ffmpeg 9", "width": 1920}');
INSERT INTO requests (id, agency, case_number, document)
  VALUES ('rd8386a60aea9', 'northside police', '24-0017', '{"agency": "Northside Police", "area": {"rings": [[[11.4975, 48.097500000000004], [11.5025, 48.097500000000004], [11.5025, 48.1025], [11.4975, 48.1025], [11.4975, 48.097500000000004]]]}, "case_number": "24-0017", "contact": "desk@northside.example", "incident": "burglary", "made_ns": 1772452800000000000, "note": "", "span": {"end_ns": 1772368200000000000, "start_ns": 1772366400000000000}}');
INSERT INTO requests (id, agency, case_number, document)
  VALUES ('r719cd189aa74', 'northside police', '24-0017', '{"agency": "Northside Police", "area": {"rings": [[[11.4975, 48.097500000000004], [11.5025, 48.097500000000004], [11.5025, 48.1025], [11.4975, 48.1025], [11.4975, 48.097500000000004]]]}, "case_number": "24-0017", "contact": "desk@northside.example", "incident": "burglary", "made_ns": 1772452800000000000, "note": "again ü", "span": {"end_ns": 1772368200000000000, "start_ns": 1772366400000000000}}');
INSERT INTO turn (id, n, longest_ns)
  VALUES (1, 7, 3600000000000);
