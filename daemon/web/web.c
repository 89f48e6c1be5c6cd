#include "daemon/web/web.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#define SILENCE_MAX_SECONDS 20.0
#define CONNECTIONS_MAX 16U
#define IDLE_SECONDS 10U

struct lvn_web_place {
  union {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
  } address;
};

struct lvn_web {
  struct MHD_Daemon *server; /* NULL: it could not be started again */
  struct lvn_web_place place;
  uint16_t port;
  struct lvn_web_tls tls; /* that the server runs with */
  pthread_mutex_t mutex;  /* guards what follows */
  char *metrics;
  char problem[256];
  char notice[LVN_WEB_NOTICE_BYTES];
  double published_at;
  char hosts[256]; /* written before the server starts */
};

#define HOST_BYTES 256

/* The host without its port and the brackets of a numeric IPv6 address. */
static bool cut_host(const char *value, char ret_host[HOST_BYTES]) {
  const char *end = value[0] == '[' ? strchr(value, ']') : strchr(value, ':');
  size_t start = value[0] == '[' ? 1 : 0;
  size_t length = end == NULL ? strlen(value) : (size_t)(end - value);
  if (length < start || length - start >= HOST_BYTES || (start == 1 && end == NULL)) {
    return false;
  }
  memcpy(ret_host, value + start, length - start);
  ret_host[length - start] = '\0';
  return true;
}

static bool is_listed(const char *list, const char *host) {
  size_t host_length = strlen(host);
  for (const char *item = list; *item != '\0';) {
    item += strspn(item, ", \t");
    size_t length = strcspn(item, ", \t");
    if (length > 0 && length == host_length && strncasecmp(item, host, length) == 0) {
      return true;
    }
    item += length;
  }
  return false;
}

static bool is_allowed_host(const struct lvn_web *web, const char *value) {
  char host[HOST_BYTES];
  struct in_addr ipv4;
  struct in6_addr ipv6;
  if (!cut_host(value, host)) {
    return false;
  }
  size_t length = strlen(host);
  if (length > 0 && host[length - 1] == '.') { /* a fully qualified name */
    host[length - 1] = '\0';
  }
  return strcasecmp(host, "localhost") == 0 ||
         (inet_pton(AF_INET, host, &ipv4) == 1 && (ntohl(ipv4.s_addr) >> 24) == 127) ||
         (inet_pton(AF_INET6, host, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6)) || is_listed(web->hosts, host);
}

struct host_check {
  const struct lvn_web *web;
  bool is_good;
};

static enum MHD_Result check_header(void *user_data, enum MHD_ValueKind kind, const char *key, const char *value) {
  struct host_check *check = user_data;
  (void)kind;
  if (strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0) {
    check->is_good = check->is_good && value != NULL && is_allowed_host(check->web, value);
  }
  return MHD_YES;
}

/* A request without a Host (HTTP/1.0) is no browser's. */
static bool has_good_host(const struct lvn_web *web, struct MHD_Connection *connection) {
  struct host_check check = {.web = web, .is_good = true};
  (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, check_header, &check);
  return check.is_good;
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type, const char *text) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
  if (response == NULL) {
    return MHD_NO;
  }
  (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

static enum MHD_Result reply_health(struct lvn_web *web, struct MHD_Connection *connection) {
  char line[sizeof web->problem + sizeof web->notice + 16];
  unsigned status = MHD_HTTP_OK;
  (void)pthread_mutex_lock(&web->mutex);
  if (lvn_clock_monotonic_seconds() - web->published_at > SILENCE_MAX_SECONDS) {
    (void)snprintf(line, sizeof line, "the pipeline does not answer\n");
    status = MHD_HTTP_SERVICE_UNAVAILABLE;
  } else if (web->problem[0] != '\0') {
    (void)snprintf(line, sizeof line, "%s\n%s", web->problem, web->notice);
    status = MHD_HTTP_SERVICE_UNAVAILABLE;
  } else {
    (void)snprintf(line, sizeof line, "ok\n%s", web->notice);
  }
  (void)pthread_mutex_unlock(&web->mutex);
  return reply(connection, status, "text/plain; charset=utf-8", line);
}

static enum MHD_Result answer(void *user_data, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload_data, size_t *upload_data_size,
                              void **connection_data) {
  struct lvn_web *web = user_data;
  (void)version;
  (void)upload_data;
  (void)connection_data;
  if (*upload_data_size != 0) {
    return MHD_NO;
  }
  if (!has_good_host(web, connection)) {
    return reply(connection, MHD_HTTP_FORBIDDEN, "text/plain",
                 "this server is not asked by that name: see web_hosts\n");
  }
  if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
    return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "only GET\n");
  }
  if (strcmp(url, "/health") == 0) {
    return reply_health(web, connection);
  }
  if (strcmp(url, "/metrics") == 0) {
    (void)pthread_mutex_lock(&web->mutex);
    enum MHD_Result result = reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                                   web->metrics == NULL ? "" : web->metrics);
    (void)pthread_mutex_unlock(&web->mutex);
    return result;
  }
  return reply(connection, MHD_HTTP_NOT_FOUND, "text/plain", "there are /metrics and /health\n");
}

/* TLS 1.2 and 1.3, forward secrecy, authenticated encryption: as DICOM's connections. */
#define PRIORITIES                                                                                                     \
  "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:+ECDHE-ECDSA:-CIPHER-ALL:+AES-128-GCM:"            \
  "+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD"

/* Within the handshake, before a byte of a request. */
static void demand_certificate(void *user_data, struct MHD_Connection *connection, void **socket_data,
                               enum MHD_ConnectionNotificationCode code) {
  static gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                          .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
  (void)user_data;
  (void)socket_data;
  const union MHD_ConnectionInfo *info = code == MHD_CONNECTION_NOTIFY_STARTED
                                             ? MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
                                             : NULL;
  if (info != NULL && info->tls_session != NULL) {
    gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert2(info->tls_session, &purpose, 1, 0);
  }
}

static bool is_loopback(const struct lvn_web_place *place) {
  return place->address.any.sa_family == AF_INET ? (ntohl(place->address.ipv4.sin_addr.s_addr) >> 24) == 127
                                                 : IN6_IS_ADDR_LOOPBACK(&place->address.ipv6.sin6_addr);
}

static bool parse_place(const char *address, uint16_t port, struct lvn_web_place *ret_place) {
  memset(ret_place, 0, sizeof *ret_place);
  if (inet_pton(AF_INET, address, &ret_place->address.ipv4.sin_addr) == 1) {
    ret_place->address.ipv4.sin_family = AF_INET;
    ret_place->address.ipv4.sin_port = htons(port);
    return true;
  }
  memset(ret_place, 0, sizeof *ret_place);
  ret_place->address.ipv6.sin6_family = AF_INET6;
  ret_place->address.ipv6.sin6_port = htons(port);
  return inet_pton(AF_INET6, address, &ret_place->address.ipv6.sin6_addr) == 1;
}

/* `listen_fd` -1: a new socket. */
static struct MHD_Daemon *start_server(struct lvn_web *web, const struct lvn_web_tls *tls, int listen_fd) {
  struct MHD_OptionItem options[8] = {
      {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
      {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
  };
  size_t count = 2;
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
  flags |= web->place.address.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0U;
  if (listen_fd >= 0) {
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL};
  } else {
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_SOCK_ADDR, 0, &web->place.address};
  }
  if (tls != NULL) {
    flags |= MHD_USE_TLS | MHD_USE_ITC; /* without the latter there is no MHD_quiesce_daemon() */
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->certificate};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->private_key};
    options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PRIORITIES};
    if (tls->trusted != NULL) {
      options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, tls->trusted};
    }
  }
  options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
  return MHD_start_daemon(flags, web->port, NULL, NULL, answer, web, MHD_OPTION_ARRAY, options,
                          MHD_OPTION_NOTIFY_CONNECTION, tls != NULL && tls->trusted != NULL ? demand_certificate : NULL,
                          NULL, MHD_OPTION_END);
}

bool lvn_web_set_tls(struct lvn_web *web, const struct lvn_web_tls *tls, struct lvn_error *err) {
  const int listen_fd = web->server != NULL ? MHD_quiesce_daemon(web->server) : -1;
  LVN_AUTOCLOSE int spare_fd = listen_fd >= 0 ? fcntl(listen_fd, F_DUPFD_CLOEXEC, 0) : -1;
  if (listen_fd < 0) {
    return lvn_error_set(err, LVN_ERROR_IO, "the HTTP server cannot be made anew");
  }
  struct MHD_Daemon *server = start_server(web, tls, listen_fd);
  const bool good = server != NULL;
  if (!good) {
    (void)lvn_error_set(err, LVN_ERROR_IO, "the HTTP server cannot use the certificates that were read");
    server = spare_fd >= 0 ? start_server(web, &web->tls, spare_fd) : NULL;
    spare_fd = -1;
  }
  MHD_stop_daemon(web->server);
  web->server = server;
  return good && lvn_web_tls_copy(tls, &web->tls, err);
}

bool lvn_web_start(const char *address, uint16_t port, const char *hosts, const struct lvn_web_tls *tls,
                   struct lvn_web **ret_web, struct lvn_error *err) {
  struct lvn_web *web = lvn_alloc(1, sizeof *web, err);
  if (web == NULL) {
    return false;
  }
  (void)lvn_copy(web->hosts, sizeof web->hosts, hosts);
  (void)pthread_mutex_init(&web->mutex, NULL);
  web->published_at = lvn_clock_monotonic_seconds();
  web->port = port;
  if (!parse_place(address, port, &web->place) ||
      (!is_loopback(&web->place) && (tls == NULL || tls->trusted == NULL))) {
    lvn_web_stop(web);
    return lvn_error_set(err, LVN_ERROR_USAGE, "web address '%s' is not a loopback address", address);
  }
  web->server = start_server(web, tls, -1);
  if (web->server == NULL || (tls != NULL && !lvn_web_tls_copy(tls, &web->tls, err))) {
    if (web->server == NULL) {
      (void)lvn_error_set(err, LVN_ERROR_IO, "cannot serve metrics on %s port %u", address, (unsigned)port);
    }
    lvn_web_stop(web);
    return false;
  }
  *ret_web = web;
  return true;
}

void lvn_web_stop(struct lvn_web *web) {
  if (web == NULL) {
    return;
  }
  if (web->server != NULL) {
    MHD_stop_daemon(web->server);
  }
  (void)pthread_mutex_destroy(&web->mutex);
  lvn_web_tls_clear(&web->tls);
  lvn_free(web->metrics);
  lvn_free(web);
}

bool lvn_web_publish(struct lvn_web *web, const char *metrics_text, const char *problem, const char *notice,
                     struct lvn_error *err) {
  char *copy = lvn_strdup(metrics_text, err);
  if (copy == NULL) {
    return false;
  }
  (void)pthread_mutex_lock(&web->mutex);
  lvn_free(web->metrics);
  web->metrics = copy;
  (void)lvn_copy(web->problem, sizeof web->problem, problem == NULL ? "" : problem);
  (void)lvn_copy(web->notice, sizeof web->notice, notice == NULL ? "" : notice);
  web->published_at = lvn_clock_monotonic_seconds();
  (void)pthread_mutex_unlock(&web->mutex);
  return true;
}
