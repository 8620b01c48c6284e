"""What directives of nginx.conf come to that no key of lbapp stands for, and that change nothing for clients and servers.

Responsible for which these are, and why each is not needed; and for those that keep clients out. Knows nothing of the
directives that are taken.

Invariant: no directive that keeps a client out, or that decides where a request goes, is said not to be needed.
"""

from __future__ import annotations

from typing import Final

from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger

_PROCESS: Final = "it is about nginx's own process"
_ITSELF: Final = "lbapp does so by itself"
_TLS: Final = "lbapp speaks TLS 1.2 and 1.3 with ciphers of its own choice, all with forward secrecy"
_FILES: Final = "lbapp serves no files"
_LOG: Final = "what a line of lbapp's access log has is in docs/observability.md"
_BUFFERS: Final = "lbapp passes on what comes as it comes, within [limits]"
_NOT_NEEDED: Final = {
    _PROCESS: (
        "user pid daemon master_process worker_processes worker_cpu_affinity worker_priority worker_rlimit_nofile "
        "worker_rlimit_core worker_shutdown_timeout worker_connections multi_accept use accept_mutex "
        "accept_mutex_delay load_module pcre_jit thread_pool timer_resolution lock_file env working_directory "
        "debug_connection events ssl_engine aio aio_write sendfile sendfile_max_chunk tcp_nopush "
        "server_names_hash_bucket_size server_names_hash_max_size types_hash_max_size types_hash_bucket_size "
        "variables_hash_max_size variables_hash_bucket_size map_hash_bucket_size map_hash_max_size "
        "proxy_headers_hash_max_size proxy_headers_hash_bucket_size proxy_temp_path client_body_temp_path "
        "fastcgi_temp_path uwsgi_temp_path scgi_temp_path directio read_ahead output_buffers postpone_output "
        "connection_pool_size request_pool_size open_file_cache open_file_cache_valid open_file_cache_min_uses "
        "open_file_cache_errors limit_req_log_level limit_conn_log_level limit_req_status limit_conn_status"
    ),
    _ITSELF: (
        "tcp_nodelay proxy_http_version keepalive_requests keepalive_disable keepalive_time "
        "reset_timedout_connection server_tokens proxy_pass_header "
        "proxy_socket_keepalive resolver_timeout underscores_in_headers "
        "ignore_invalid_headers merge_slashes server_name_in_redirect port_in_redirect absolute_redirect "
        "lingering_close lingering_time lingering_timeout msie_padding max_ranges etag send_timeout "
        "real_ip_recursive chunked_transfer_encoding http2_max_concurrent_streams http2_max_field_size "
        "http2_max_header_size http2_recv_timeout http2_idle_timeout http2_chunk_size http2_body_preread_size "
        "proxy_ssl_server_name proxy_ssl_session_reuse proxy_ssl_verify_depth proxy_ssl_protocols "
        "proxy_ssl_ciphers preread_timeout ssl_preread proxy_half_close tcp_nodelay proxy_ignore_client_abort "
        "proxy_requests proxy_responses preread_buffer_size variables_hash_max_size"
    ),
    _BUFFERS: (
        "proxy_buffering proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_request_buffering "
        "proxy_max_temp_file_size proxy_temp_file_write_size proxy_limit_rate client_body_buffer_size "
        "client_header_buffer_size client_body_in_file_only "
        "client_body_in_single_buffer"
    ),
    _TLS: (
        "ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_ecdh_curve ssl_dhparam ssl_session_cache "
        "ssl_session_timeout ssl_session_tickets ssl_session_ticket_key ssl_buffer_size ssl_conf_command "
        "ssl_early_data ssl_verify_depth ssl_stapling ssl_stapling_verify ssl_trusted_certificate "
        "ssl_stapling_file ssl_stapling_responder ssl_handshake_timeout"
    ),
    _FILES: (
        "types default_type index log_not_found autoindex_exact_size autoindex_localtime disable_symlinks gzip_static"
    ),
    _LOG: "log_format log_subrequest open_log_file_cache error_log rewrite_log uninitialized_variable_warn",
}
_WHY: Final = {word: why for why, words in _NOT_NEEDED.items() for word in words.split()}
_CHANGES: Final = ("$args", "$limit_rate")  # nginx's own, which change what it does
_OF_OTHERS: Final = ("fastcgi_", "uwsgi_", "scgi_", "grpc_", "memcached_")
_OF_GZIP: Final = ("gzip_", "brotli_")
_WHOLE: Final = ("types", "events", "map")  # those whose blocks are not needed either
_KEEP_OUT: Final = frozenset(
    (
        "deny", "allow", "auth_basic", "auth_basic_user_file", "auth_request", "auth_jwt", "limit_except",
        "limit_req", "limit_conn", "valid_referers", "internal", "satisfy", "secure_link", "secure_link_md5",
        "secure_link_secret", "ssl_verify_client", "ssl_crl", "modsecurity", "modsecurity_rules_file",
        "modsecurity_rules", "access_by_lua", "access_by_lua_block", "access_by_lua_file", "auth_digest", "auth_pam",
        "auth_ldap", "geoip2", "naxsi_rules", "SecRulesEnabled", "CheckRule", "js_access",
    )
)  # fmt: skip


def keeps_out(directive: Directive) -> bool:
    """Say whether a directive, or one in its block, may keep clients out."""
    return any(
        each.name in _KEEP_OUT or (each.name == "return" and each.words[:1] and each.words[0][0] == "4")
        for each in directive.all()
    )


def say_what_is_not_needed(ledger: Ledger, directive: Directive) -> None:
    """Say so of a directive that is not needed, and whether one that is not taken keeps clients out; of others say nothing."""
    if keeps_out(directive) and (
        directive.block is None or directive.name in ("if", "limit_except") or directive.name.endswith("_block")
    ):
        ledger.keeps_out(directive.line)
    said = ledger.said
    if directive.line.number in said:
        return
    if directive.name in ("gzip", "brotli") and directive.words == ("on",):
        ledger.left(directive.line, "lbapp compresses nothing; let the servers do it")
        return
    if directive.name.startswith("proxy_cache") and directive.words != ("off",):
        ledger.left(directive.line, "lbapp keeps no answers; let the servers, or a cache before them, do it")
        return
    why = _why(directive)
    for each in directive.all() if directive.name in _WHOLE else [directive]:
        if why is not None:
            ledger.not_needed(each.line, why)


def _why(directive: Directive) -> str | None:
    """Return why a directive is not needed; None: it may be."""
    if directive.name in _KEEP_OUT and (directive.words[:1] == ("off",) or directive.line.words == ("allow", "all")):
        return "it keeps nobody out"
    if directive.name.startswith(_OF_GZIP) or (directive.name in ("gzip", "autoindex") and directive.words == ("off",)):
        return "lbapp compresses nothing" if "zip" in directive.name else _FILES
    if directive.name == "proxy_redirect":
        return _ITSELF if directive.words in (("off",), ("default",)) else None
    if directive.name.startswith(_OF_OTHERS) and not directive.name.endswith("_pass"):
        return "it is for servers that lbapp does not pass on to"
    if directive.name == "ssl":
        return "an address has its TLS by it, or by its listen"
    if directive.name == "proxy_cache":
        return "lbapp keeps no answers"
    if directive.name == "set" and "$" not in directive.words[-1] and directive.words[0] not in _CHANGES:
        return "its value stands where it is used"
    if directive.name == "include":
        return "what it includes stands under its own file's name"
    if directive.name == "map":
        return (
            "lbapp passes on upgrades by itself: [[listener]] upgrade"
            if directive.words[:1] == ("$http_upgrade",)
            else None
        )
    return _WHY.get(directive.name)
