/* The fake service of the unit tests as a program, for peers that are not ours: `dimse_peer serve` prints the port on
 * which it serves one association; `dimse_peer ask PORT` sends an action that is to be reported on the same
 * association, and prints the answer and the report. */
#include "dicom/net/services/verification.h"
#include "tests/unit/dicom/fake_service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static enum lvn_admission admit(void *user_data, const struct lvn_association_peer *peer) {
  (void)user_data;
  (void)peer;
  return LVN_ADMIT;
}

static bool serve(struct lvn_error *err) {
  static const struct lvn_association_limits limits = {
      .max_pdu_bytes = 16384, .negotiate_seconds = 10, .idle_seconds = 10, .total_seconds = 60};
  const struct lvn_dimse_service services[] = {lvn_verification_service(), fake_both};
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  struct lvn_dimse *dimse = NULL;
  const int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)alarm(60);
  if (bind(listen_fd, (struct sockaddr *)&address, bytes) != 0 || listen(listen_fd, 1) != 0 ||
      getsockname(listen_fd, (struct sockaddr *)&address, &bytes) != 0) {
    return lvn_error_set(err, LVN_ERROR_IO, "cannot listen");
  }
  (void)printf("%d\n", ntohs(address.sin_port));
  (void)fflush(stdout);
  const bool is_good =
      lvn_dimse_accept(accept(listen_fd, NULL, NULL), NULL, &limits, admit, NULL, services, 2, &dimse, err) &&
      lvn_dimse_serve(dimse, err);
  lvn_dimse_close(dimse);
  (void)printf("reports %u, the last of type %u\n", reports, report_type);
  return is_good;
}

/* Transaction UID in explicit VR little endian. */
static const uint8_t transaction[] = {0x08, 0x00, 0x95, 0x11, 'U', 'I', 6, 0, '1', '.', '2', '.', '3', 0};

static bool exchange(struct lvn_dimse *dimse, struct lvn_error *err) {
  const struct lvn_association_context *context =
      lvn_dimse_find_context(dimse, FAKE_CLASS, NULL, LVN_ROLE_SCU | LVN_ROLE_SCP);
  struct lvn_command command = {.field = LVN_COMMAND_N_ACTION_RQ,
                                .has = LVN_COMMAND_HAS_ACTION_TYPE,
                                .action_type = ACT_REPORT_LATER,
                                .sop_class_uid = FAKE_CLASS,
                                .sop_instance_uid = FAKE_INSTANCE};
  struct lvn_dimse_bytes bytes = {.bytes = transaction, .count = sizeof transaction};
  const struct lvn_dimse_source data = lvn_dimse_source_of(&bytes);
  struct lvn_dimse_message response;
  uint16_t message_id = 0;
  bool is_served = false;
  if (context == NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the roles were not accepted");
  }
  if (!lvn_dimse_send_request(dimse, context, &command, &data, &message_id, err) ||
      !lvn_dimse_await(dimse, message_id, &response, err)) {
    return false;
  }
  (void)printf("answer %04x\n", (unsigned)response.command.status);
  while (reports == 0) {
    if (!lvn_dimse_serve_within(dimse, 5, &is_served, err)) {
      return false;
    }
    if (!is_served) {
      return lvn_error_set(err, LVN_ERROR_TIMEOUT, "no report");
    }
  }
  (void)printf("report %u\n", report_type);
  return true;
}

static bool ask(uint16_t port, struct lvn_error *err) {
  const struct lvn_association_target target = {.host = "127.0.0.1",
                                                .port = port,
                                                .called_aet = "PEER",
                                                .calling_aet = "TESTER",
                                                .connect_seconds = 10,
                                                .idle_seconds = 10};
  const struct lvn_association_offer offer = {.abstract_syntax = FAKE_CLASS,
                                              .transfer_syntaxes = uncompressed,
                                              .transfer_syntax_count = 2,
                                              .roles = LVN_ROLE_SCU | LVN_ROLE_SCP};
  struct lvn_dimse *dimse = NULL;
  const bool is_good = lvn_dimse_request(&target, &offer, 1, &fake_both, 1, &dimse, err) && exchange(dimse, err);
  lvn_dimse_close(dimse);
  return is_good;
}

int main(int argc, char **argv) {
  struct lvn_error err = {0};
  const bool is_good =
      argc == 3 && strcmp(argv[1], "ask") == 0 ? ask((uint16_t)strtoul(argv[2], NULL, 10), &err) : serve(&err);
  if (!is_good) {
    (void)fprintf(stderr, "%s\n", err.message);
  }
  return is_good ? 0 : 1;
}
