-- Times without a zone are UTC, and times in texts are ISO, whatever the role, the database or the URL says.
-- SET LOCAL, because the next transaction of a pooler's session may be somebody else's.
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
-- A backslash in a text of ours is a backslash.
SET LOCAL standard_conforming_strings = on;
