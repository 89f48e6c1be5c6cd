// Parts the slices of one matrix, orientation and kernel into acquisitions (or reconstructions) by what their headers
// say. A means of telling them apart counts if it leaves parts that are volumes: no place twice, even spacing. What
// changes along one scan (a number or a time per slice or rotation) leaves parts that lie behind one another; only
// parts that cover the same places are acquisitions of their own.
#ifndef LVN_DICOM_READ_PARTING_DCMTK_HH
#define LVN_DICOM_READ_PARTING_DCMTK_HH

#include "dicom/read/study_dcmtk.hh"

#include <string>
#include <vector>

namespace lvn {

using Indices = std::vector<size_t>; // of lvn_study::frames

// Image Position along the plane's normal.
double along(const lvn_plane &plane, const lvn_slice &slice);
// In one place, within what positions are rounded to?
bool is_same_place(const lvn_slice &a, const lvn_slice &b);
// Of sorted slices: how many lie where their predecessor lies.
size_t count_repeats(const lvn_study &study, const Indices &sorted);
// How much of the shorter one's length both cover, 0 to 1; a single place counts as covered inside the other's range.
double shared_range(const lvn_study &study, const lvn_plane &plane, const Indices &a, const Indices &b);

struct Parting {
  std::vector<Indices> parts;      // each sorted along the normal; empty when nothing parts them better than one stack
  std::string means;               // "acquisition number"
  bool names_acquisitions = false; // an attribute made for that, not a time, an order or a word
  size_t lost = 0;                 // slices in parts that are no volume
};

Parting part_slices(const lvn_study &study, const lvn_plane &plane, const Indices &sorted);
// What part_slices() looks at, for a sentence.
const char *parting_means();

} // namespace lvn

#endif
