/* Members of `livervlm text-encoder` that have a file of their own. Inside of cli. */
#ifndef LVN_CLI_ENGINE_TEXT_ENCODER_H
#define LVN_CLI_ENGINE_TEXT_ENCODER_H

#ifdef __cplusplus
extern "C" {
#endif

int lvn_cli_text_encoder_fetch(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
