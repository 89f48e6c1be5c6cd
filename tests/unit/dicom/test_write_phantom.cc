// What the phantom writers wrote, read again by DCMTK alone.
#include "base/file.h"
#include "dicom/write/phantom_objects.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <setjmp.h>
extern "C" {
#include <cmocka.h>
}

#include "tests/unit/scratch.h"

namespace {

constexpr uint32_t columns = 40;
constexpr uint32_t rows = 30;
constexpr uint32_t slices = 4;

struct fixture {
  std::string folder;
  struct lvn_volume volume;
  struct lvn_mask masks[2];
  struct lvn_write_study study;
  char uids[slices][LVN_UID_BYTES];
};

struct lvn_grid oblique_grid() {
  const double c = std::cos(0.3);
  const double s = std::sin(0.3);
  return {{columns, rows, slices}, {0.7, 0.8, 2.5}, {-110.25, -77.5, 431.125}, {{c, s, 0}, {-s, c, 0}, {0, 0, 1}}};
}

int setup(void **state) {
  auto *f = new fixture();
  struct lvn_error error = {};
  const struct lvn_grid grid = oblique_grid();
  char folder[SCRATCH_BYTES];
  f->folder = scratch_make(folder);
  assert_true(lvn_volume_create(&grid, &f->volume, &error));
  uint32_t seed = 7;
  for (size_t i = 0; i < size_t{columns} * rows * slices; i++) {
    seed = seed * 1664525U + 1013904223U;
    f->volume.hounsfield[i] = i % 97 == 0 ? LVN_HU_PADDING : static_cast<int16_t>(-1024 + static_cast<int>(seed >> 20));
  }
  for (auto &mask : f->masks) {
    assert_true(lvn_mask_create(&grid, &mask, &error));
  }
  for (size_t i = 0; i < size_t{columns} * rows; i++) {
    const int x = static_cast<int>(i % columns) - 15;
    const int y = static_cast<int>(i / columns) - 14;
    const int r = x * x + y * y;
    f->masks[0].inside[size_t{columns} * rows * 1 + i] = r < 100 && r > 9; // a hole
    f->masks[0].inside[size_t{columns} * rows * 2 + i] = r < 64 || i == 0; // two regions, one at the corner
    f->masks[1].inside[size_t{columns} * rows * 2 + i] = x > 15 && x < 22 && y > -3 && y < 9;
  }
  f->study = {"1.2.3.4", "1.2.3.5", "PHANTOM-1", "Phantom^Seed 1", "1", "ACC1", "20261122", "101500"};
  *state = f;
  return 0;
}

int teardown(void **state) {
  auto *f = static_cast<fixture *>(*state);
  lvn_volume_clear(&f->volume);
  lvn_mask_clear(&f->masks[0]);
  lvn_mask_clear(&f->masks[1]);
  scratch_remove(f->folder.c_str());
  delete f;
  return 0;
}

std::string write_series(fixture *f, const char *name, const char *syntax) {
  struct lvn_error error = {};
  const std::string folder = f->folder + "/" + name;
  const struct lvn_write_series series = {"1.2.3.6",  "seed",   4,   "Portal venous", "Liver 3 phase", "101634",
                                          "Iomeprol", "101524", 2.5, "B30f",          syntax};
  assert_true(lvn_file_make_folder(folder.c_str(), 0755, &error));
  if (!lvn_write_ct_series(folder.c_str(), &f->study, &series, &f->volume, f->uids, &error)) {
    fail_msg("%s", error.message);
  }
  return folder;
}

void check_slice(fixture *f, const std::string &path, uint32_t slice) {
  DcmFileFormat file;
  const Uint16 *stored = nullptr;
  unsigned long count = 0;
  OFString value;
  assert_true(file.loadFile(path.c_str()).good());
  DcmDataset &dataset = *file.getDataset();
  assert_true(dataset.chooseRepresentation(EXS_LittleEndianExplicit, nullptr).good());
  assert_true(dataset.findAndGetOFString(DCM_SOPInstanceUID, value).good());
  assert_string_equal(value.c_str(), f->uids[slice]);
  const double index[3] = {0, 0, static_cast<double>(slice)};
  double expected[3];
  lvn_grid_to_patient(&f->volume.grid, index, expected);
  for (unsigned long i = 0; i < 3; i++) {
    Float64 position = 0;
    assert_true(dataset.findAndGetFloat64(DCM_ImagePositionPatient, position, i).good());
    assert_true(std::fabs(position - expected[i]) < 1e-6);
  }
  assert_true(dataset.findAndGetUint16Array(DCM_PixelData, stored, &count).good());
  assert_int_equal(count, columns * rows);
  for (size_t i = 0; i < count; i++) {
    const int16_t hu = f->volume.hounsfield[size_t{columns} * rows * slice + i];
    assert_int_equal(static_cast<int16_t>(stored[i]), hu == LVN_HU_PADDING ? -2000 : hu + 1024);
  }
}

void test_write_phantom__series_reads_back_in_every_syntax(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const char *const syntaxes[] = {nullptr,
                                  UID_LittleEndianImplicitTransferSyntax,
                                  UID_DeflatedExplicitVRLittleEndianTransferSyntax,
                                  UID_RLELosslessTransferSyntax,
                                  UID_JPEGProcess14SV1TransferSyntax,
                                  UID_JPEGLSLosslessTransferSyntax};
  for (size_t k = 0; k < sizeof syntaxes / sizeof syntaxes[0]; k++) {
    const std::string folder = write_series(f, ("ct" + std::to_string(k)).c_str(), syntaxes[k]);
    for (uint32_t slice = 0; slice < slices; slice++) {
      check_slice(f, folder + "/000" + std::to_string(slice + 1) + ".dcm", slice);
    }
  }
}

void test_write_phantom__file_has_the_asked_syntax_and_our_implementation(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  OFString value;
  const std::string folder = write_series(f, "syntax", UID_RLELosslessTransferSyntax);
  assert_true(file.loadFile((folder + "/0001.dcm").c_str()).good());
  assert_true(file.getMetaInfo()->findAndGetOFString(DCM_TransferSyntaxUID, value).good());
  assert_string_equal(value.c_str(), UID_RLELosslessTransferSyntax);
  assert_true(file.getMetaInfo()->findAndGetOFString(DCM_ImplementationVersionName, value).good());
  assert_string_equal(value.c_str(), "LIVERVLM_1");
}

void test_write_phantom__same_input_same_bytes(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  uint8_t first[LVN_SHA256_BYTES];
  uint8_t second[LVN_SHA256_BYTES];
  const std::string one = write_series(f, "one", UID_JPEGLSLosslessTransferSyntax);
  const std::string two = write_series(f, "two", UID_JPEGLSLosslessTransferSyntax);
  for (uint32_t slice = 1; slice <= slices; slice++) {
    const std::string name = "/000" + std::to_string(slice) + ".dcm";
    assert_true(lvn_sha256_of_file((one + name).c_str(), first, &error));
    assert_true(lvn_sha256_of_file((two + name).c_str(), second, &error));
    assert_memory_equal(first, second, sizeof first);
  }
}

void test_write_phantom__lossy_syntax_is_refused(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  const struct lvn_write_series series = {
      "1.2.3.6", "seed", 4, "PV", "Liver", "101634", nullptr, nullptr, 2.5, "B30f", UID_JPEGProcess1TransferSyntax};
  assert_false(lvn_write_ct_series(f->folder.c_str(), &f->study, &series, &f->volume, nullptr, &error));
  assert_int_equal(error.code, LVN_ERROR_DATA);
}

struct outline {
  uint32_t slice;
  std::vector<double> points; // column, row; pixel corners
};

bool covers(const outline &o, double column, double row) {
  bool is_inside = false;
  const size_t count = o.points.size() / 2;
  for (size_t i = 0, j = count - 1; i < count; j = i++) {
    const double xi = o.points[2 * i];
    const double yi = o.points[2 * i + 1];
    const double xj = o.points[2 * j];
    const double yj = o.points[2 * j + 1];
    if ((yi > row) != (yj > row) && column < (xj - xi) * (row - yi) / (yj - yi) + xi) {
      is_inside = !is_inside;
    }
  }
  return is_inside;
}

// Union and exclusive-or of the outlines both give the mask.
void check_outlines(const struct lvn_mask &mask, const std::vector<outline> &outlines) {
  for (uint32_t slice = 0; slice < slices; slice++) {
    for (uint32_t row = 0; row < rows; row++) {
      for (uint32_t column = 0; column < columns; column++) {
        size_t covering = 0;
        for (const outline &o : outlines) {
          covering += o.slice == slice && covers(o, column + 0.5, row + 0.5);
        }
        assert_int_equal(covering, mask.inside[(size_t{slice} * rows + row) * columns + column]);
      }
    }
  }
}

uint32_t slice_of_uid(const fixture *f, const char *uid) {
  for (uint32_t slice = 0; slice < slices; slice++) {
    if (std::strcmp(f->uids[slice], uid) == 0) {
      return slice;
    }
  }
  fail_msg("%s is no slice", uid);
  return 0;
}

std::string string_of(DcmItem &item, const DcmTagKey &tag) {
  OFString value;
  return item.findAndGetOFStringArray(tag, value).good() ? value.c_str() : "";
}

DcmItem *item_at(DcmItem &item, const DcmTagKey &tag, signed long index) {
  DcmItem *found = nullptr;
  return item.findAndGetSequenceItem(tag, found, index).good() ? found : nullptr;
}

using roi_writer = bool (*)(const char *, const struct lvn_write_study *, const struct lvn_write_roi_target *,
                            const struct lvn_write_roi *, size_t, struct lvn_error *);

void write_rois(fixture *f, roi_writer writer, const std::string &path, DcmFileFormat &ret_file) {
  struct lvn_error error = {};
  (void)write_series(f, "ct", nullptr);
  const struct lvn_write_roi_target target = {"1.2.3.6", f->uids, &f->volume.grid};
  const struct lvn_write_roi rois[2] = {{"Lesion 1", "2.25.1", &f->masks[0]}, {"Lesion 2", "2.25.2", &f->masks[1]}};
  if (!writer(path.c_str(), &f->study, &target, rois, 2, &error)) {
    fail_msg("%s", error.message);
  }
  assert_true(ret_file.loadFile(path.c_str()).good());
}

void test_write_phantom__rtstruct_fills_back(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write_rois(f, lvn_write_roi_rtstruct, f->folder + "/rt.dcm", file);
  for (signed long roi = 0; roi < 2; roi++) {
    std::vector<outline> outlines;
    DcmItem *contours = item_at(*file.getDataset(), DCM_ROIContourSequence, roi);
    assert_non_null(contours);
    DcmItem *contour = nullptr;
    for (signed long i = 0; (contour = item_at(*contours, DCM_ContourSequence, i)) != nullptr; i++) {
      DcmItem *image = item_at(*contour, DCM_ContourImageSequence, 0);
      outline o = {slice_of_uid(f, string_of(*image, DCM_ReferencedSOPInstanceUID).c_str()), {}};
      Sint32 count = 0;
      assert_true(contour->findAndGetSint32(DCM_NumberOfContourPoints, count).good());
      assert_string_equal(string_of(*contour, DCM_ContourGeometricType).c_str(), "CLOSED_PLANAR");
      for (unsigned long p = 0; p < static_cast<unsigned long>(count); p++) {
        double mm[3];
        double index[3];
        for (unsigned long k = 0; k < 3; k++) {
          assert_true(contour->findAndGetFloat64(DCM_ContourData, mm[k], 3 * p + k).good());
        }
        lvn_grid_to_index(&f->volume.grid, mm, index);
        assert_true(std::fabs(index[2] - o.slice) < 1e-6);
        o.points.push_back(index[0] + 0.5);
        o.points.push_back(index[1] + 0.5);
      }
      outlines.push_back(o);
    }
    check_outlines(f->masks[roi], outlines);
  }
}

void test_write_phantom__sr_fills_back(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write_rois(f, lvn_write_roi_sr, f->folder + "/sr.dcm", file);
  DcmItem *measurements = nullptr;
  for (signed long i = 0; (measurements = item_at(*file.getDataset(), DCM_ContentSequence, i)) != nullptr; i++) {
    if (string_of(*item_at(*measurements, DCM_ConceptNameCodeSequence, 0), DCM_CodeValue) == "126010") {
      break;
    }
  }
  assert_non_null(measurements);
  for (signed long roi = 0; roi < 2; roi++) {
    std::vector<outline> outlines;
    DcmItem *group = item_at(*measurements, DCM_ContentSequence, roi);
    assert_non_null(group);
    DcmItem *item = nullptr;
    for (signed long i = 0; (item = item_at(*group, DCM_ContentSequence, i)) != nullptr; i++) {
      const Float32 *points = nullptr;
      unsigned long count = 0;
      if (string_of(*item, DCM_ValueType) != "SCOORD") {
        continue;
      }
      assert_true(item->findAndGetFloat32Array(DCM_GraphicData, points, &count).good());
      DcmItem *reference = item_at(*item_at(*item, DCM_ContentSequence, 0), DCM_ReferencedSOPSequence, 0);
      assert_non_null(reference);
      outlines.push_back({slice_of_uid(f, string_of(*reference, DCM_ReferencedSOPInstanceUID).c_str()),
                          std::vector<double>(points, points + count)});
    }
    check_outlines(f->masks[roi], outlines);
  }
}

void test_write_phantom__seg_has_the_masks_bits(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write_rois(f, lvn_write_roi_seg, f->folder + "/seg.dcm", file);
  DcmDataset &dataset = *file.getDataset();
  const Uint8 *bits = nullptr;
  Sint32 frames = 0;
  assert_true(dataset.findAndGetSint32(DCM_NumberOfFrames, frames).good());
  assert_int_equal(frames, 3); // slices 1 and 2 of the first ROI, slice 2 of the second
  assert_true(dataset.findAndGetUint8Array(DCM_PixelData, bits).good());
  for (signed long frame = 0; frame < frames; frame++) {
    DcmItem *groups = item_at(dataset, DCM_PerFrameFunctionalGroupsSequence, frame);
    Uint16 segment = 0;
    assert_true(item_at(*groups, DCM_SegmentIdentificationSequence, 0)
                    ->findAndGetUint16(DCM_ReferencedSegmentNumber, segment)
                    .good());
    DcmItem *source = item_at(*item_at(*groups, DCM_DerivationImageSequence, 0), DCM_SourceImageSequence, 0);
    const uint32_t slice = slice_of_uid(f, string_of(*source, DCM_ReferencedSOPInstanceUID).c_str());
    for (size_t i = 0; i < size_t{columns} * rows; i++) {
      const size_t bit = static_cast<size_t>(frame) * columns * rows + i;
      assert_int_equal((bits[bit / 8] >> (bit % 8)) & 1,
                       f->masks[segment - 1].inside[size_t{slice} * columns * rows + i]);
    }
  }
}

void test_write_phantom__roi_on_another_grid_is_refused(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  struct lvn_grid moved = f->volume.grid;
  moved.origin_mm[2] += 2.5;
  const struct lvn_write_roi_target target = {"1.2.3.6", f->uids, &moved};
  const struct lvn_write_roi roi = {"Lesion 1", "2.25.1", &f->masks[0]};
  const std::string path = f->folder + "/refused.dcm";
  assert_false(lvn_write_roi_seg(path.c_str(), &f->study, &target, &roi, 1, &error));
  assert_non_null(std::strstr(error.message, "grid"));
  assert_false(lvn_file_exists(path.c_str()));
}

} // namespace

int main() {
  DcmRLEDecoderRegistration::registerCodecs();
  DJDecoderRegistration::registerCodecs();
  DJLSDecoderRegistration::registerCodecs();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_write_phantom__series_reads_back_in_every_syntax, setup, teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__file_has_the_asked_syntax_and_our_implementation, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__same_input_same_bytes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__lossy_syntax_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__rtstruct_fills_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__sr_fills_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__seg_has_the_masks_bits, setup, teardown),
      cmocka_unit_test_setup_teardown(test_write_phantom__roi_on_another_grid_is_refused, setup, teardown),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
