-- Times without a zone are UTC, and times in texts are ISO, whatever the role, the database or the URL says.
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
