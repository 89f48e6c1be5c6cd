/* The sub-commands that compute, one file each, as in cli/commands.h; engine.c has their table. */
#ifndef LVN_CLI_ENGINE_COMMANDS_H
#define LVN_CLI_ENGINE_COMMANDS_H

#ifdef __cplusplus
extern "C" {
#endif

int lvn_cli_analyze(int argc, char **argv);
int lvn_cli_dataset(int argc, char **argv);
int lvn_cli_dataset_build(int argc, char **argv);
int lvn_cli_dataset_show(int argc, char **argv);
int lvn_cli_train(int argc, char **argv);
int lvn_cli_evaluate(int argc, char **argv);
int lvn_cli_text_encoder(int argc, char **argv);
int lvn_cli_model_verify(int argc, char **argv);
int lvn_cli_model_import(int argc, char **argv);
int lvn_cli_model_promote(int argc, char **argv);
int lvn_cli_model_compare(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
