/* The sub-commands of `livervlm`, one file each. `argv[0]` is the sub-command's name; the result is the exit code:
 * 0 done, 1 failed, 2 wrong use. Data goes to standard output, complaints to standard error. */
#ifndef LVN_CLI_COMMANDS_H
#define LVN_CLI_COMMANDS_H

#ifdef __cplusplus
extern "C" {
#endif

int lvn_cli_phantom(int argc, char **argv);
int lvn_cli_model(int argc, char **argv);
int lvn_cli_check_config(int argc, char **argv);
int lvn_cli_status(int argc, char **argv);
int lvn_cli_studies(int argc, char **argv);
int lvn_cli_jobs(int argc, char **argv);
int lvn_cli_outbound(int argc, char **argv);
int lvn_cli_retry(int argc, char **argv);
int lvn_cli_send(int argc, char **argv);
int lvn_cli_release(int argc, char **argv);
int lvn_cli_fetch(int argc, char **argv);
int lvn_cli_rebuild_index(int argc, char **argv);
int lvn_cli_verify_store(int argc, char **argv);
int lvn_cli_study(int argc, char **argv);
int lvn_cli_alert(int argc, char **argv);
int lvn_cli_echo(int argc, char **argv);
int lvn_cli_test_send(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
