// Takes the measurements of a report over as OHIF does, by dcmjs's adapter, and prints them as JSON: the outlines in
// columns and rows, with the image each was drawn on. Usage: node hydrate.js REPORT.dcm
const fs = require("fs");
const dcmjs = require("dcmjs");

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const { MeasurementReport, PlanarFreehandROI } = dcmjs.adapters.Cornerstone3D;

console.log = () => {}; // the adapter's own talk
console.warn = (...words) => process.stderr.write(`${words.join(" ")}\n`); // what it could not take over

const file = DicomMessage.readFile(fs.readFileSync(process.argv[2]).buffer);
const report = DicomMetaDictionary.naturalizeDataset(file.dict);
const list = (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

// Which group a viewer would offer, by the name of a tool that begins its tracking identifier.
const imaging = list(report.ContentSequence).find((item) => item.ConceptNameCodeSequence.CodeValue === "126010");
const groups = list(imaging.ContentSequence).map((group) => {
  const items = list(group.ContentSequence);
  const identifier = items.find((item) => item.ConceptNameCodeSequence.CodeValue === "112039").TextValue;
  return {
    identifier,
    hydratable: PlanarFreehandROI.isValidCornerstoneTrackingIdentifier(identifier),
    labels: items.filter((item) => item.ValueType === "NUM").map((item) => item.ConceptNameCodeSequence.CodeMeaning),
  };
});

const images = new Proxy({}, { get: (_, uid) => (typeof uid === "string" ? uid : undefined) });
const state = MeasurementReport.generateToolState(
  report,
  images,
  (image, point) => [point[0], point[1], 0],
  { get: () => ({ frameOfReferenceUID: "" }) }
);
const outlines = state.PlanarFreehandROI.map((measurement) => ({
  image: measurement.annotation.metadata.referencedImageId,
  finding: measurement.description,
  isClosed: !measurement.annotation.data.isOpenContour,
  points: measurement.annotation.data.polyline.map(([column, row]) => [column, row]),
}));
process.stdout.write(JSON.stringify({ groups, outlines }));
