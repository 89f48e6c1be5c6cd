/* Images computed from several X-ray energies, by what objects say of themselves: the standard's Image Type value 4
 * (PS3.3 C.8.2.1.1.1) and rescale types, and the words of the makers and of the people who name series. Pure C, private
 * to dicom/read. */
#ifndef LVN_DICOM_READ_SPECTRAL_H
#define LVN_DICOM_READ_SPECTRAL_H

#include "dicom/read/study.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_spectral {
  LVN_SPECTRAL_NONE,    /* conventional, mixed of two energies, or nothing says otherwise */
  LVN_SPECTRAL_RESERVE, /* looks like a conventional image: monoenergetic at about 70 keV, or of unclear kind */
  LVN_SPECTRAL_EXCLUDED /* other HU than a conventional image: further monoenergetic ones, materials, virtual ones */
};

struct lvn_spectral_facts {
  const char *image_type;
  const char *series_description;
  const char *image_comments;
  const char *derivation;
  const char *rescale_type;
  double kv;         /* KVP (0018,0060); NAN when absent */
  double energy_kev; /* Monoenergetic Energy Equivalent (0018,937C); NAN when absent */
};

/* `ret_reason` says of a reserve what it is, else it is empty. */
enum lvn_spectral lvn_spectral_decide(const struct lvn_spectral_facts *facts, char ret_reason[LVN_TEXT_BYTES]);

/* The tube voltage that a description names ("80 kV", "Sn140kV", "DE_80"), 0 when none. */
double lvn_spectral_named_kv(const char *series_description);
/* Mixed of the two energies of a dual-energy scan ("F_0.5", "M_0.6", "mixed", "blended")? */
bool lvn_spectral_is_mixed(const char *series_description, const char *image_type);

#ifdef __cplusplus
}
#endif
#endif
