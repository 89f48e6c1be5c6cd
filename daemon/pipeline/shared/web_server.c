#include "daemon/pipeline/shared/web_server.h"

struct lvn_http_server lvn_web_server_of_peer(const struct lvn_config_peer *peer, unsigned connect_seconds,
                                              unsigned answer_seconds) {
  return (struct lvn_http_server){.url = peer->url,
                                  .ca_file = peer->https_ca_file,
                                  .certificate_file = peer->https_certificate,
                                  .key_file = peer->https_key,
                                  .user = peer->user,
                                  .password_file = peer->password_file,
                                  .token_file = peer->token_file,
                                  .connect_seconds = connect_seconds,
                                  .idle_seconds = answer_seconds};
}

struct lvn_http_server lvn_web_server_of_webhook(const struct lvn_config_webhook *webhook, unsigned connect_seconds,
                                                 unsigned answer_seconds) {
  return (struct lvn_http_server){.url = webhook->url,
                                  .ca_file = webhook->https_ca_file,
                                  .certificate_file = webhook->https_certificate,
                                  .key_file = webhook->https_key,
                                  .token_file = webhook->token_file,
                                  .connect_seconds = connect_seconds,
                                  .idle_seconds = answer_seconds};
}
