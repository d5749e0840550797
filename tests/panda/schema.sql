-- Just the tables and columns that panda-server 1.0.4 reads for the active jobs by queue and for
-- the queues' specs. In production a job of the database fills mv_jobsactive4_stats every minute.
CREATE SCHEMA doma_panda;
CREATE SCHEMA doma_pandameta;
SET search_path = doma_panda;

CREATE TABLE mv_jobsactive4_stats (
    computingsite text, resource_type text, prodsourcelabel text, jobstatus text,
    num_of_jobs bigint, cloud text, processingtype text
);
CREATE TABLE jobsdefined4 (
    pandaid bigint, computingsite text, resource_type text, prodsourcelabel text, jobstatus text,
    cloud text, processingtype text, gshare text, modificationtime timestamp
);
CREATE TABLE jobsactive4 (LIKE jobsdefined4);
CREATE TABLE jobsarchived4 (LIKE jobsdefined4);

-- Queues as the database has them from CRIC.
CREATE TABLE schedconfig_json (panda_queue text PRIMARY KEY, data json, last_update timestamp);
CREATE TABLE panda_site (panda_site_name text, site_name text);
CREATE TABLE site (site_name text, role text);
CREATE TABLE harvester_slots (
    pandaqueuename text, gshare text, resourcetype text, numslots int,
    modificationtime timestamp, expirationtime timestamp
);
CREATE TABLE resource_types (
    resource_name text, mincore int, maxcore int, minrampercore bigint, maxrampercore bigint
);
INSERT INTO resource_types VALUES ('SCORE', 1, 1, NULL, 2000), ('MCORE', 2, NULL, NULL, 2000);

-- Read on the way, and empty here.
CREATE TABLE ddm_endpoint (
    ddm_endpoint_name text, site_name text, ddm_spacetoken_name text, type text, is_tape char(1),
    blacklisted char(1), blacklisted_read char(1), blacklisted_write char(1), detailed_status json,
    space_free int, space_expired int, space_used int, space_total int, space_timestamp timestamp
);
CREATE TABLE panda_ddm_relation (
    panda_site_name text, ddm_endpoint_name text, roles text, is_local char(1), order_read int,
    order_write int, default_read char(1), default_write char(1), scope text
);
CREATE TABLE global_shares (
    name text, value smallint, parent text, prodsourcelabel text, workinggroup text, campaign text,
    processingtype text, transpath text, rtype text, vo text, queue_id int, throttled char(1)
);
CREATE TABLE config (
    app text, component text, key text, value text, type text, vo text, descr text, value_json json
);
