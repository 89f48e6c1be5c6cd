/* The commands that compute lie in a module of their own: libtorch and what it brings take most of a second to load,
 * and a command that only asks answers at once. */
#ifndef LVN_CLI_ENGINE_H
#define LVN_CLI_ENGINE_H

#ifdef __cplusplus
extern "C" {
#endif

/* The module's file, from the folder of the program, and its one exported symbol, of the type below. */
#define LVN_CLI_ENGINE_PATH "../lib/livervlm/lvn-engine.so"
#define LVN_CLI_ENGINE_SYMBOL "lvn_cli_engine_run"
typedef int (*lvn_cli_engine_function)(const char *command, int argc, char **argv);

/* Loads the module and runs a command of its table ("analyze", "model verify"). The result is the exit code;
 * LVN_EXIT_FAILED, with one line on standard error, when the module cannot be loaded. */
int lvn_cli_engine(const char *command, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
