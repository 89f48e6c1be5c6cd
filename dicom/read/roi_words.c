/* The words behind roi_names.c. Diacritics are folded before ("läsion" is "lasion"), digits are words of their own, and
 * a space stands for the edge of a word: " liver" also matches "livers", "tumor" also "lebertumor". */
#include "dicom/read/roi_names.h"

#define WORDS(name, ...)                                                                                               \
  static const char *const name##_patterns[] = {__VA_ARGS__};                                                          \
  const struct lvn_roi_words name = {name##_patterns, sizeof name##_patterns / sizeof name##_patterns[0]}

/* clang-format off */
WORDS(lvn_roi_lesion_words,
      " gtv", "gtv ", " hcc", "hcc ", " fnh ", " hca ", " icc ", " ccc ", "lesion", "lezyon", "lasion", "laesion", " lesao",
      " lesoes", " lesie", " laesie", "tumor", "tumour", "tumeur", " mass ", " masses ", " massa ", " masse ",
      " masa ", " masas ", " massen ", "raumforder", "nodul", "knoten ", " cyst ", " cysts ", " cystic lesion",
      "zyste", " kyste", " quiste", " cisti ", " cisto ", " cistos ", " ciste ", " kist ", " kista ", " cysta ",
      " torbiel", "adenom", "angiom", "hepatom", "hepatocellular", "hepatozellul", "blastom", "carcinom", "karzinom",
      "karcinom", "sarcom", "sarkom", "lymphom", "melanom", "lipom", " myom", "neoplas", "cancer", "krebs", "malign",
      "abscess", "absces", "abszess", "abces", " focus ", " focal ", " foci ", " herd", "herd ", "herde ", " guz",
      " zmian", " ognisk", " nador", " lozisk", " hyperplasi", "hypodens", "hyperdens", "hypovasc", "hypervasc",
      "hyperenhanc", "washout", " suspicious", " suspekt", " lirads ", " li rads ", " lr 3 ", " lr 4 ", " lr 5 ", " lr m ",
      " ton thuong", " khoi u ", " u gan ", "опухол", "кист", "гемангиом", "образован", "очаг", "узел", "узл", " рак ", " рака",
      "аденом", "карцином", "абсцесс", "瘤", "癌", "腫瘍", "肿块", "腫塊", "病灶", "病变", "病變", "病変", "囊肿", "囊腫",
      "嚢胞", "血管腫", "结节", "結節", "占位", "膿瘍", "脓肿", "腺腫", "종양", "병변", "낭종", "결절", "간암", "혈관종");

WORDS(lvn_roi_spread_words,
      "metasta", " metas ", " mets ", " met ", " filia", "转移", "轉移", "転移", "전이", "метаст", "cancer", "carcinom",
      "karzinom", "malign", "癌");

WORDS(lvn_roi_margin_words,
      "ptv", "ctv", " itv", "itv ", " igtv", " pgtv", " planning target", " clinical target", " internal target",
      "zielvolum", " plus ", " expan", " exp ", " uncertainty");

WORDS(lvn_roi_helper_words,
      " ring ", " rings ", " rind ", " rinds ", " shell", " margin", " marge ", " margen", " sicherheitssaum", " saum ",
      " minus ", " avoid", " prv", "prv ", " opt ", " opti", " zopt", " dose", " dosis", " isodose", " isodosis",
      " marker", " fiducial", " tumor bed", " tumour bed", " tumorbed", " tumorbett", " lit tumoral", " non tum",
      " nontum", " no tum", " no lesion", " non lesion", " lesion free", " tumor free", " tumour free", "tumorfrei",
      " healthy", " normal", " gesund", " sain ", " sano ", " sana ", " uninvolved", " unaffected", " uninfiltrated",
      " background", " hintergrund", " reference ", " referenz", " control ", " hilfs", " hilfe", " helper", " dummy",
      " treated vol", " irrad", " crop", " overlap", " subtract", " tuning", " ntcp", " stent", " clip ", " clips ",
      " needle", " catheter", " implant", " foley", " eval ", " icru", " preop ", " postop ", " surgical bed", " surgicalbed", " artifact", " artefact", " artefakt", "正常");

WORDS(lvn_roi_weak_helper_words,
      " body ", " bodies ", " extern", " skin", " patient", " outline", " outer", " couch", " table", " support",
      " bolus", " immobil", " headrest", " wingboard", " vacbag", " vacuum", " fixation", " mattress", " frame ",
      " isocent", " iso ", " laser", " gy ", " cgy ", " beam", " block ", " junction", " match", " scar ", " wire",
      " metal", " air ", " luft ", " noise", " phantom", " koerper", " korper", " haut ", " aussenkontur", " tisch ",
      " corps ", " peau ", " cuerpo ", " piel ", " corpo ", " pelle ", " lagerung", " temp ", " tmp ", " poi ", " bb ",
      " contrast agent", " kontrast", " thorax", " torso", " extremit", "кожа", "тело", "体表", "體表", "皮肤",
      "皮膚", "体輪郭", "床", "寝台");

WORDS(lvn_roi_liver_words,
      " liver", " hepar ", " hepat", " leber", " foie", " higado", " fegato", " epat", " figado", " lever ", " levers ",
      " leverlaesi", " watrob", " jatr", " jetr", " maj ", " karaciger", " maksa", " ficat", " gan ", " couinaud",
      " caudate", " riedel", "liver ", "leber ", "печен", "肝", " 간 ", "간장", "간세포", "간암", " biliar", " bile",
      " gallengang", " cholang", " portal", " porta ", " pfortader");

WORDS(lvn_roi_other_organ_words,
      " kidney", " renal", " niere", " reins ", " rein ", " rinon", " rene ", " reni ", " rins ", " nerka",
      " nerki", " nier ", " nieren", " lung", " pulmo", " poumon", " polmon", " spleen", " splen", " milz", " rate ",
      " bazo", " milza", " baco ", " sledzion", " pancrea", " pankrea", " bauchspeichel", " adrenal", " nebenniere",
      " surren", " suprarren", " bone", " bones ", " knochen", " hueso", " osso", " vertebr", " wirbel", " rib ",
      " ribs ", " rippe", " spinal cord", " spinal canal", " spine", " spinal", " sacrum", " femur", " pelvis", " thyro", " thyreo", " schilddr",
      " urinary bladder", " bladder", " harnblase", " vessie", " prostat", " uter", " ovar", " breast", " brain",
      " gehirn", " lymph", " node ", " nodes ", " ln ", " ganglion", " stomach", " magen", " gastric", " estomac",
      " colon", " rectum", " rectal", " oesophag", " esophag", " duoden", " bowel", " mediastin", " periton",
      " mesenter", " omentum", " muscle", " thymus", "почк", "легк", "лёгк", "селез", "поджелуд", "надпочеч", "лимф",
      "肾", "腎", "肺", "脾", "胰", "膵", "副腎", "肾上腺", "骨", "淋巴", "リンパ", "신장", "췌장", "비장", "폐");

WORDS(lvn_roi_seat_words,
      " bone", " knochen", " hueso", " osso", " vertebr", " wirbel", " rib ", " ribs ", " spine", " lymph", " node ",
      " nodes ", " ln ", " ganglion", " adrenal", " nebenniere", " surren", " suprarren", " spleen", " splen", " milz",
      " periton", " omentum", "лимф", "надпочеч", "骨", "淋巴", "リンパ", "副腎", "肾上腺");

WORDS(lvn_roi_anatomy_words,
      " organ ", " organs ", " organe", " oar ", " anatom", " parenchym", " vessel", " vasc", " gefass", " gefaess",
      " vaisseau", " vasos ", " vaso ", " vasi ", " vena", " vein", " vene", " veine", " arter", " aort", " cava ", " ivc ",
      " svc ", " sma ", " smv ", " cbd ", " gb ", " gallbl", " gall bladder", " gallenblase", " vesicul", " vesicula",
      " colecist", " cholecyst", " cystic duct", " cystic art", " duct", " duodenum", " jejun", " ileum", " caecum",
      " cecum", " sigmoid", " intestin", " darm", " dunndarm", " duenndarm", " dickdarm", " bag bowel", " bowelbag",
      " bowelspace", " heart", " herz", " coeur ", " corazon", " cuore", " atri", " ventric", " myocard", " pericard",
      " chest", " trachea", " bronch", " carina", " larynx", " pharynx", " mouth", " oral ", " tongue", " parotid",
      " submand", " glnd", " gland", " lens ", " eye ", " eyes ", " orbit", " optic", " chiasm", " cochlea", " brainst",
      " hippoc", " pituit", " lacrimal", " mandib", " maxill", " skull", " face ", " cord ", " cauda", " canal ",
      " spinalc", " ruckenmark", " rueckenmark", " moelle ", " medula", " midollo", " myelon", " cartil", " cartlg",
      " costal", " stern", " clavic", " scapula", " humer", " ulna ", " radius ", " carp", " metacarp", " metatars",
      " tarsal", " phalang", " patella", " tibia", " fibula", " hip ", " hips ", " hufte", " huefte", " iliac", " ilium",
      " ischium", " pubis", " coccyx", " acetab", " gluteus", " autochthon", " iliopsoas", " psoas", " quadratus",
      " musc", " muskel", " fat ", " fett", " adipos", " subcut", " visceral", " diaphragm", " zwerchfell", " ureter",
      " urethra", " penile", " penis", " testis", " testes", " seminal", " vagina", " cervix", " rektum", " anal ",
      " anus ", " celiac", " coeliac", " mesent", " carotid", " subclav", " brachio", " jugular", " coronary", " great ves",
      " greatves", " plexus", " brachialpl", " brachial", " couinaud", " fissure", " ligament", " hilum",
      " hilus", " ascites", " effusion", " pleura", " blood", " blut ", " disc ", " discs ", " vb ", " retina", " hair ",
      " nerve", " nrv", " tendon", " joint", " knee", " elbow", " shoulder", " urin", " stool", " feces",
      " air cavity", " cavity", " leaflet", " valve", " lad ", " rca ",
      " postcava", " append", " aryten", " ostomy", " cerebell", " cerebr", " cricoid", " cricoph", " dens ", " ear ",
      " genital", " glottis", " growth pl", " growthpl", " palate", " hardpal", " hypothal", " lips ", " malleus", " nasal",
      " nose ", " perineum", " pineal", " pons ", " pterygoid", " pubic", " pyriform", " sacral", " scalp", " scrot",
      " spongios", " stapes", " thalam", " thecal", " tonsil", " vitreous", " vomer", " vulva", " aszites", " weichteil",
      " pleuraerguss", " lymphat", " bile duct", "аорт", "вена", "артер", "сердц",
      "желуд", "позвон", "пузыр", "кишк", "主动脉", "主動脈", "大動脈", "静脉", "靜脈", "静脈", "动脉", "動脈", "心脏", "心臓", "心室", "心房", "胃", "脊",
      "胆", "膽", "膀胱", "肠", "腸", "大腸", "肌", "筋", "脂肪", "血管", "食管", "食道", "横膈", "대동맥", "정맥", "동맥",
      "담낭", "위장", "척추", "심장", "혈관");

WORDS(lvn_roi_near_words,
      " near ", " next ", " adjacent", " close ", " by ", " at ", " to ", " beside", " above", " below", " behind",
      " under ", " abut", " invad", " neben ", " nahe ", " bei ", " an ", " unter ", " pres ", " proche", " sous ",
      " vicino", " sotto ", " junto ", " cerca ", " debajo", " from ", " of crc ", " primary ");

WORDS(lvn_roi_without_words,
      " without ", " minus ", " wo ", " not ", " no ", " non ", " sub ", " ex ", " excl", " except", " ohne ", " sans ",
      " senza ", " sin ", " sem ", " zonder ", " bez ", " exkl", " hors ");

WORDS(lvn_roi_generic_words,
      "roi", "rois", "region", "regions", "structure", "struct", "structures", "segment", "segments", "segmentation", "seg",
      "contour", "contours", "kontur", "label", "object", "mask", "annotation", "annotations", "group", "measurement",
      "measurements", "unnamed", "untitled", "unknown", "new", "default", "volume", "voi", "area", "flache", "flaeche",
      "shape", "polygon", "freehand", "circle", "ellipse", "rectangle", "spline", "brush", "paint", "layer", "drawing",
      "interest", "of", "the", "tissue", "left", "right", "no", "nr", "id", "untitledroi", "item", "finding", "planar",
      "volumetric", "outline", "ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "name", "none", "null", "test", "user",
      "index", "bereich", "auswahl", "zone", "zona", "region1", "figure", "graphic", "image", "selection", "oval",
      "hand", "manual", "auto", "automatic", "bild", "smooth", "copy", "final", "target");
/* clang-format on */
