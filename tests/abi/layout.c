/* The interface as it was released: nothing here may change but by lines added for a new minor.
 * What has been released stays where it is; appended members make structs larger, so sizes are "at
 * least". (64-bit machines; where pointers are smaller the same order of members holds.) */
#include <bakengine/plugin.h>

#define AT(st, m, offset)                                                                          \
    _Static_assert(sizeof(void *) != 8 || offsetof(struct st, m) == (offset), #st "." #m " moved")
#define MINOR_0(st, size)                                                                          \
    _Static_assert(sizeof(void *) != 8 || sizeof(struct st) >= (size), #st " shrank")
#define MINOR_1(st, size) MINOR_0(st, size)
#define MINOR_2(st, size) MINOR_0(st, size)
#define FIXED(st, size)                                                                            \
    _Static_assert(sizeof(void *) != 8 || sizeof(struct st) == (size), #st " changed its size")
#define IS(name, value) _Static_assert((name) == (value), #name " changed its value")

MINOR_0(bake_host, 64);
AT(bake_host, struct_size, 0);
AT(bake_host, abi_major, 8);
AT(bake_host, abi_minor, 12);
AT(bake_host, vlog, 16);
AT(bake_host, cancelled, 24);
AT(bake_host, cancel_fd, 32);
AT(bake_host, vreport, 40);
AT(bake_host, vfail, 48);
AT(bake_host, sleep_ms, 56);
MINOR_1(bake_host, 80);
AT(bake_host, oblige, 64);
AT(bake_host, redeemed, 72);
MINOR_2(bake_host, 104);
AT(bake_host, log_put, 80);
AT(bake_host, log_get, 88);
AT(bake_host, log_list, 96);

/* bake_ctx: engine-private members follow the first */
AT(bake_ctx, host, 0);

FIXED(bake_path, 16);
AT(bake_path, path, 0);
AT(bake_path, optional, 8);

MINOR_0(bake_option, 64);
AT(bake_option, key, 0);
AT(bake_option, type, 8);
AT(bake_option, flags, 12);
AT(bake_option, offset, 16);
AT(bake_option, fallback, 24);
AT(bake_option, min, 32);
AT(bake_option, max, 40);
AT(bake_option, choices, 48);
AT(bake_option, help, 56);

FIXED(bake_in, 24);
AT(bake_in, data, 0);
AT(bake_in, size, 8);
AT(bake_in, pos, 16);

FIXED(bake_out, 24);
AT(bake_out, data, 0);
AT(bake_out, size, 8);
AT(bake_out, pos, 16);

MINOR_0(bake_component, 56);
AT(bake_component, struct_size, 0);
AT(bake_component, name, 8);
AT(bake_component, group, 16);
AT(bake_component, kind, 24);
AT(bake_component, size_hint, 32);
AT(bake_component, fingerprint, 40);
AT(bake_component, facts, 48);
MINOR_2(bake_component, 64);
AT(bake_component, flags, 56);

MINOR_0(bake_result, 24);
AT(bake_result, struct_size, 0);
AT(bake_result, facts, 8);
AT(bake_result, fingerprint, 16);

FIXED(bake_extent, 16);
AT(bake_extent, offset, 0);
AT(bake_extent, length, 8);

MINOR_0(bake_entry, 160);
AT(bake_entry, struct_size, 0);
AT(bake_entry, type, 8);
AT(bake_entry, valid, 12);
AT(bake_entry, path, 16);
AT(bake_entry, link, 24);
AT(bake_entry, user, 32);
AT(bake_entry, group, 40);
AT(bake_entry, mode, 48);
AT(bake_entry, uid, 52);
AT(bake_entry, gid, 56);
AT(bake_entry, dev_major, 60);
AT(bake_entry, dev_minor, 64);
AT(bake_entry, size, 72);
AT(bake_entry, inode, 80);
AT(bake_entry, device, 88);
AT(bake_entry, nlink, 96);
AT(bake_entry, mtime_ns, 104);
AT(bake_entry, ctime_ns, 112);
AT(bake_entry, fingerprint, 120);
AT(bake_entry, extents, 128);
AT(bake_entry, n_extents, 136);
AT(bake_entry, xattrs, 144);
AT(bake_entry, xattrs_size, 152);

MINOR_0(bake_restore, 16);
AT(bake_restore, struct_size, 0);
AT(bake_restore, purpose, 8);
AT(bake_restore, force, 12);
MINOR_1(bake_restore, 40);
AT(bake_restore, flags, 16);
AT(bake_restore, backup, 24);
AT(bake_restore, as_group, 32);
MINOR_2(bake_restore, 80);
AT(bake_restore, as_name, 40);
AT(bake_restore, parts, 48);
AT(bake_restore, at_ns, 56);
AT(bake_restore, pipeline, 64);
AT(bake_restore, program, 72);

MINOR_0(bake_source_ops, 136);
AT(bake_source_ops, struct_size, 0);
AT(bake_source_ops, open, 8);
AT(bake_source_ops, plan, 16);
AT(bake_source_ops, reader_open, 24);
AT(bake_source_ops, next, 32);
AT(bake_source_ops, open_entry, 40);
AT(bake_source_ops, read, 48);
AT(bake_source_ops, finish, 56);
AT(bake_source_ops, reader_close, 64);
AT(bake_source_ops, writer_open, 72);
AT(bake_source_ops, put_entry, 80);
AT(bake_source_ops, write, 88);
AT(bake_source_ops, entry_end, 96);
AT(bake_source_ops, commit, 104);
AT(bake_source_ops, writer_close, 112);
AT(bake_source_ops, interrupt, 120);
AT(bake_source_ops, close, 128);
MINOR_1(bake_source_ops, 200);
AT(bake_source_ops, hold, 136);
AT(bake_source_ops, release, 144);
AT(bake_source_ops, redeem, 152);
AT(bake_source_ops, tidy, 160);
AT(bake_source_ops, restore_begin, 168);
AT(bake_source_ops, switch_group, 176);
AT(bake_source_ops, restore_end, 184);
AT(bake_source_ops, undo_group, 192);
MINOR_2(bake_source_ops, 224);
AT(bake_source_ops, traits, 200);
AT(bake_source_ops, logs_pull, 208);
AT(bake_source_ops, logs_follow, 216);

MINOR_0(bake_transform_ops, 72);
AT(bake_transform_ops, struct_size, 0);
AT(bake_transform_ops, suffix, 8);
AT(bake_transform_ops, traits, 16);
AT(bake_transform_ops, memory, 24);
AT(bake_transform_ops, open, 32);
AT(bake_transform_ops, process, 40);
AT(bake_transform_ops, reset, 48);
AT(bake_transform_ops, interrupt, 56);
AT(bake_transform_ops, close, 64);

MINOR_0(bake_sink_ops, 136);
AT(bake_sink_ops, struct_size, 0);
AT(bake_sink_ops, open, 8);
AT(bake_sink_ops, memory, 16);
AT(bake_sink_ops, put_begin, 24);
AT(bake_sink_ops, put_write, 32);
AT(bake_sink_ops, put_end, 40);
AT(bake_sink_ops, put_abort, 48);
AT(bake_sink_ops, get_begin, 56);
AT(bake_sink_ops, get_read, 64);
AT(bake_sink_ops, get_close, 72);
AT(bake_sink_ops, list, 80);
AT(bake_sink_ops, stat, 88);
AT(bake_sink_ops, remove, 96);
AT(bake_sink_ops, space, 104);
AT(bake_sink_ops, sweep, 112);
AT(bake_sink_ops, interrupt, 120);
AT(bake_sink_ops, close, 128);

MINOR_0(bake_plugin, 104);
AT(bake_plugin, struct_size, 0);
AT(bake_plugin, abi_major, 8);
AT(bake_plugin, abi_minor, 12);
AT(bake_plugin, option_size, 16);
AT(bake_plugin, name, 24);
AT(bake_plugin, version, 32);
AT(bake_plugin, summary, 40);
AT(bake_plugin, options, 48);
AT(bake_plugin, config_size, 56);
AT(bake_plugin, validate, 64);
AT(bake_plugin, probe, 72);
AT(bake_plugin, source, 80);
AT(bake_plugin, transform, 88);
AT(bake_plugin, sink, 96);

IS(BAKE_OK, 0);
IS(BAKE_END, 1);
IS(BAKE_E_CANCELLED, -1);
IS(BAKE_E_CONFIG, -2);
IS(BAKE_E_AUTH, -3);
IS(BAKE_E_NOTFOUND, -4);
IS(BAKE_E_EXISTS, -5);
IS(BAKE_E_UNAVAILABLE, -6);
IS(BAKE_E_TIMEOUT, -7);
IS(BAKE_E_NOSPACE, -8);
IS(BAKE_E_IO, -9);
IS(BAKE_E_CORRUPT, -10);
IS(BAKE_E_CHILD, -11);
IS(BAKE_E_NOMEM, -12);
IS(BAKE_E_UNSUPPORTED, -13);
IS(BAKE_E_INTERNAL, -14);
IS(BAKE_E_KEY, -15);

IS(BAKE_LOG_ERROR, 0);
IS(BAKE_LOG_WARN, 1);
IS(BAKE_LOG_INFO, 2);
IS(BAKE_LOG_DEBUG, 3);

IS(BAKE_NOTICE, 1);
IS(BAKE_WARNING, 2);
IS(BAKE_PARTIAL, 3);

IS(BAKE_T_BOOL, 1);
IS(BAKE_T_INT, 2);
IS(BAKE_T_SIZE, 3);
IS(BAKE_T_DURATION, 4);
IS(BAKE_T_STRING, 5);
IS(BAKE_T_PATH, 6);
IS(BAKE_T_SECRET, 7);
IS(BAKE_T_ENUM, 8);
IS(BAKE_T_STRLIST, 9);
IS(BAKE_T_PATHLIST, 10);

IS(BAKE_CONTINUE, 0);
IS(BAKE_FLUSH, 1);
IS(BAKE_FINISH, 2);

IS(BAKE_FORWARD, 0);
IS(BAKE_REVERSE, 1);

IS(BAKE_TREE, 1);
IS(BAKE_BLOB, 2);

IS(BAKE_FILE, 1);
IS(BAKE_DIR, 2);
IS(BAKE_SYMLINK, 3);
IS(BAKE_HARDLINK, 4);
IS(BAKE_CHARDEV, 5);
IS(BAKE_BLOCKDEV, 6);
IS(BAKE_FIFO, 7);

IS(BAKE_RESTORE, 1);
IS(BAKE_INSPECT, 2);
IS(BAKE_DRILL, 3);

IS(BAKE_OPT_REQUIRED, 1u << 0);
IS(BAKE_OPT_DEPRECATED, 1u << 1);
IS(BAKE_OPT_HAS_RANGE, 1u << 2);
IS(BAKE_HAS_MODE, 1u << 0);
IS(BAKE_HAS_OWNER, 1u << 1);
IS(BAKE_HAS_MTIME, 1u << 2);
IS(BAKE_HAS_CTIME, 1u << 3);
IS(BAKE_HAS_INODE, 1u << 4);
IS(BAKE_HAS_XATTRS, 1u << 5);
IS(BAKE_HOLD_PREVIEW, 1u << 0);
IS(BAKE_RESTORE_KEEP_RUNNING, 1u << 0);
IS(BAKE_RESTORE_KEEP_STOPPED, 1u << 1);
IS(BAKE_UNORDERED, 1u << 0);
IS(BAKE_NAMES_BELOW, 1u << 0);
IS(BAKE_INSPECTS, 1u << 1);
IS(BAKE_DRILLS, 1u << 2);
IS(BAKE_HAS_PARTS, 1u << 3);
IS(BAKE_HAS_LOGS, 1u << 4);
IS(BAKE_COMPRESSES, 1u << 0);
IS(BAKE_ENCRYPTS, 1u << 1);
IS(BAKE_SMALL_OBJECT, 1u << 0);
IS(BAKE_PUT_IF_ABSENT, 1u << 0);
IS(BAKE_ABI_MAJOR, 1);

int main(void) { return 0; } /* it was checked when it was compiled */
