-- What that code writes into it.
INSERT INTO audit (seq, hash)
  VALUES (1, 'd398280ca801a92e38a4a8102300b88e30200cb69594425a5606153bb947dd53');
INSERT INTO audit (seq, hash)
  VALUES (2, 'e363fcf07e82427feed8cb151d3e1d1f9d76f135abdf65579f49b6841ee4835f');
INSERT INTO cameras (id, lon, lat, owner, sharing, zone, clock_offset_s, clock_known, aliases)
  VALUES ('a', 11.5, 48.1, 'owner-1', 'always', '', 0.0, '', NULL);
INSERT INTO cameras (id, lon, lat, owner, sharing, zone, clock_offset_s, clock_known, aliases)
  VALUES ('b', 0.30000000000000004, 48.1, 'owner-2', 'ask', '', 0.0, '', NULL);
INSERT INTO catalog_version (version_num)
  VALUES ('0009');
INSERT INTO clips (camera, start_ns, id, end_ns, sha256, size, key, codec, width, height, time_base, first_pts, end_pts, frames, audio, activity, version, source, condition, clock, track)
  VALUES ('a', 1772363400000000000, '56817388d8674d795aa5', 1772367000000000000, 'abababababababababababababababababababababababababababababababab', 1000, 'clips/a/1772363400000000000.mp4', 'h264', 1920, 1080, '1/15360', 0, 55296000, 900, NULL, 'activity/a/20260301T111000.000000000Z-56817388d8674d795aa5-1-0.npz', '1-0', 'a.mp4', NULL, NULL, 0);
INSERT INTO clips (camera, start_ns, id, end_ns, sha256, size, key, codec, width, height, time_base, first_pts, end_pts, frames, audio, activity, version, source, condition, clock, track)
  VALUES ('a', 1772366400000000000, '7a2f13f59524aeb574d8', 1772366460000000000, 'abababababababababababababababababababababababababababababababab', 1000, 'clips/a/1772366400000000000.mp4', 'h264', 1920, 1080, '1/15360', 0, 921600, 900, NULL, 'activity/a/20260301T120000.000000000Z-7a2f13f59524aeb574d8-1-0.npz', '1-0', 'a.mp4', NULL, NULL, 0);
INSERT INTO clips (camera, start_ns, id, end_ns, sha256, size, key, codec, width, height, time_base, first_pts, end_pts, frames, audio, activity, version, source, condition, clock, track)
  VALUES ('a', 1772367000000000000, '7ed0f75d6db07891f1f4', 1772367060000000000, 'abababababababababababababababababababababababababababababababab', 1000, 'clips/a/1772367000000000000.mp4', 'h264', 1920, 1080, '1/15360', 0, 921600, 900, NULL, 'activity/a/20260301T121000.000000000Z-7ed0f75d6db07891f1f4-1-0.npz', '1-0', 'a.mp4', NULL, NULL, 0);
INSERT INTO clips (camera, start_ns, id, end_ns, sha256, size, key, codec, width, height, time_base, first_pts, end_pts, frames, audio, activity, version, source, condition, clock, track)
  VALUES ('b', 1772366400000000000, 'f9a105f9c2906071299c', 1772366470470400000, 'abababababababababababababababababababababababababababababababab', 1099511627776, 'clips/b/1772366400000000000.mp4', 'h264', 1920, 1080, '1001/30000', -512, 1600, 8589934592, 'aac', 'activity/b/20260301T120000.000000000Z-f9a105f9c2906071299c-1-0.npz', '1-0', 'ü '' 日本.mp4', NULL, NULL, 0);
INSERT INTO decisions (request, owner, document)
  VALUES ('rd8386a60aea9', 'owner-1', '{"clips": [], "decided_ns": 1772366400000000000, "owner": "owner-1", "request": "rd8386a60aea9", "schema": 2, "withheld": []}');
INSERT INTO decisions (request, owner, document)
  VALUES ('rd8386a60aea9', 'owner-2', '{"clips": ["f9a105f9c2906071299c"], "decided_ns": 1772366400000000000, "owner": "owner-2", "request": "rd8386a60aea9", "schema": 2, "withheld": []}');
INSERT INTO deliveries (request, cut, document)
  VALUES ('rd8386a60aea9', '3a31de845f71bf6282c8', '{"clip": "7a2f13f59524aeb574d8", "cut": "3a31de845f71bf6282c8", "formerly": [], "record": {"actual": {"end_ns": 1772366460000000000, "start_ns": 1772366400000000000}, "asked": {"end_ns": 1772368200000000000, "start_ns": 1772366400000000000}, "audio": null, "codec": "h264", "damaged": 0, "frames": 900, "height": 1080, "key": "cases/rd8386a60aea9/3a31de845f71bf6282c8.mp4", "method": "remux", "missing": 0, "name": "3a31de845f71bf6282c8", "request": "rd8386a60aea9", "sha256": "abababababababababababababababababababababababababababababababab", "similarity": null, "size": 900, "source_commitment": "", "tools": "ffmpeg 9", "width": 1920}, "request": "rd8386a60aea9", "salt": "", "schema": 2, "source_sha256": "abababababababababababababababababababababababababababababababab"}');
INSERT INTO kept_events (camera, start_ns, id, document)
  VALUES ('a', 1772366400000000000, '7a2f13f59524aeb574d8', '{"by":"a","night":false,"events":[{"start_ns":1772366400000000000,"end_ns":1772366400000000001}],"scores":[1.5],"never":[]}');
INSERT INTO owners (id, document)
  VALUES ('owner-1', '{"discloses": ["name"], "id": "owner-1", "language": "en", "mail": "", "name": "Ölga", "schema": 1}');
INSERT INTO requests (id, agency, case_number, document)
  VALUES ('r719cd189aa74', 'northside police', '24-0017', '{"agency": "Northside Police", "area": {"rings": [[[11.4975, 48.097500000000004], [11.5025, 48.097500000000004], [11.5025, 48.1025], [11.4975, 48.1025], [11.4975, 48.097500000000004]]]}, "case_number": "24-0017", "contact": "desk@northside.example", "incident": "burglary", "made_ns": 1772452800000000000, "note": "again ü", "schema": 1, "span": {"end_ns": 1772368200000000000, "start_ns": 1772366400000000000}}');
INSERT INTO requests (id, agency, case_number, document)
  VALUES ('rd8386a60aea9', 'northside police', '24-0017', '{"agency": "Northside Police", "area": {"rings": [[[11.4975, 48.097500000000004], [11.5025, 48.097500000000004], [11.5025, 48.1025], [11.4975, 48.1025], [11.4975, 48.097500000000004]]]}, "case_number": "24-0017", "contact": "desk@northside.example", "incident": "burglary", "made_ns": 1772452800000000000, "note": "", "schema": 1, "span": {"end_ns": 1772368200000000000, "start_ns": 1772366400000000000}}');
INSERT INTO turn (id, n, longest_ns)
  VALUES (1, 8, 3600000000000);
