// Medicines that harm when they are taken together, and those that are taken twice. A reminder, not a decision. The pairs are
// contraindications, boxed warnings and warnings of the medicines' own labels (US Food and Drug Administration, DailyMed;
// public domain), begun with the high-priority pairs of the Office of the National Coordinator (Phansalkar and others, JAMIA
// 2012;19:735): facts, in our own words. Groups are named by ATC, by names, and by RxNorm's ingredients, as in drugs.js. The
// list is small: what is not in it is not found, and the page says so.
import { ATC, isSame, kindsOf, plural, RXNORM, wordsOf } from "./clash.js";
import { text } from "./values.js";

/** Group | ATC | names, of which endings that differ between languages do not count | RxNorm's ingredients. */
const ROWS = `
coumarins|B01AA|warfarin coumadin marevan phenprocoumon marcumar acenocoumarol sintrom fluindion|11289
anticoagulants|B01AE07 B01AF|dabigatran pradaxa rivaroxaban xarelto apixaban eliquis edoxaban lixiana savaysa|1114195 1364430
MAO inhibitors|N06AF N06AG N04BD J01XX08|phenelzin nardil tranylcypromin parnate jatrosom isocarboxazid moclobemid selegilin rasagilin safinamid linezolid zyvox methylthioninium|8123 9639 190376
serotonin raisers|N06AB N06AX16 N06AX21|fluoxetin prozac sertralin zoloft paroxetin paxil seroxat citalopram cipramil celexa escitalopram lexapro cipralex fluvoxamin venlafaxin effexor duloxetin cymbalta|4493 36437 32937 2556 321988 39786 72625
serotonergic medicines|N06AA N02CC N02AB02 N02AX02 R05DA09|amitriptylin nortriptylin clomipramin imipramin sumatriptan rizatriptan zolmitriptan eletriptan naratriptan pethidin meperidin tramadol dextromethorphan|704 37418 10689
tramadol|N02AX02 N02AJ13|tramadol tramal ultram|10689
nitrates|C01DA C01DX16|nitroglycerin glyceryl trinitrat gtn nitrolingual isosorbid isosorbiddinitrat isosorbidmononitrat nicorandil|4917
sildenafil and its kind|G04BE03 G04BE08 G04BE09 G04BE10|sildenafil viagra revatio tadalafil cialis adcirca vardenafil levitra avanafil|136411 358263
riociguat|C02KX05|riociguat adempas|
methotrexate|L01BA01 L04AX03 M01CX01|methotrexat mtx|6851
trimethoprim|J01EA01 J01EE01|trimethoprim cotrimoxazol bactrim septra trimoxazol tmp smx|10829
thiopurines|L04AX01 L01BB02 L01BB03|azathioprin imuran mercaptopurin tioguanin|1256 103
allopurinol and febuxostat|M04AA01 M04AA03|allopurinol zyloric febuxostat|519 73689
simvastatin and lovastatin|C10AA01 C10AA02|simvastatin zocor lovastatin|36567
CYP3A4 inhibitors|J01FA01 J01FA09 J02AB02 J02AC02 J02AC03 J02AC04 J05AE V03AX03|clarithromycin klacid biaxin erythromycin itraconazol ketoconazol posaconazol voriconazol ritonavir norvir paxlovid kaletra cobicistat darunavir atazanavir lopinavir|21212 4053 28031 6135 85762
muscle harmers|C10AB04 L04AD01 G03XA01|gemfibrozil ciclosporin cyclosporin danazol|4719 3008
ergot|N02CA|ergotamin dihydroergotamin cafergot|
tizanidine|M03BX02|tizanidin sirdalud zanaflex|57258
CYP1A2 inhibitors|J01MA02 N06AB08|ciprofloxacin cipro fluvoxamin|2551
sacubitril|C09DX04|sacubitril entresto|
colchicine|M04AC01|colchicin|2683
valproate|N03AG01|valproat valproic valproinsaur depakot depakin convulex orfiril|40254
benzodiazepines|N05BA N05CD N03AE|diazepam valium lorazepam ativan tavor alprazolam xanax clonazepam rivotril midazolam oxazepam temazepam bromazepam|3322 6470 596 2598
coumarin raisers|J02AC01 J02AB01 P01AB01 J01XD01 J01EE01 C01BD01|fluconazol miconazol metronidazol cotrimoxazol bactrim septra amiodaron|4450 6922 703
sartans|C09C C09D|losartan valsartan candesartan irbesartan telmisartan olmesartan|52175 69749
potassium keepers|C03DA C03DB A12BA J01EA01 J01EE01|spironolacton aldacton eplerenon amilorid triamteren potassium kalium trimethoprim cotrimoxazol|9997 8591
lithium|N05AN|lithium quilonum|6448
thiazides|C03AA C03BA04 C03BA11|hydrochlorothiazid hct hctz chlortalidon chlorthalidon indapamid bendroflumethiazid|5487
digoxin|C01AA|digoxin digitoxin lanoxin|3407
digoxin raisers|C01BD01 C01BD07 C08DA01 J01FA09 C01BA01|amiodaron dronedaron verapamil clarithromycin quinidin|703 11170
verapamil and diltiazem|C08DA01 C08DB01|verapamil isoptin diltiazem|11170 3443
beta blockers|C07|metoprolol bisoprolol atenolol propranolol carvedilol nebivolol sotalol|6918 19484 1202 8787 20352 9947
rhythm changers|C01BD01 C01BD07 C01BA01 C07AA07 N06AB04 N06AB10 N05AD01 N05AG02 J01FA01 J01FA09 J01MA12 J01MA14 A03FA03 A04AA01 N07BC02 P01BA01 P01BA02|amiodaron dronedaron quinidin sotalol citalopram escitalopram haloperidol pimozid clarithromycin erythromycin moxifloxacin levofloxacin domperidon ondansetron methadon hydroxychloroquin chloroquin ziprasidon thioridazin|703 9947 2556 321988 5093 26225
clopidogrel|B01AC04|clopidogrel plavix|32968
omeprazole and esomeprazole|A02BC01 A02BC05|omeprazol losec prilosec esomeprazol nexium|7646
tamoxifen|L02BA01|tamoxifen|10324
CYP2D6 inhibitors|N06AB03 N06AB05|fluoxetin prozac paroxetin paxil seroxat|4493 32937
enzyme inducers|J04AB02 N03AF01 N03AB02 N03AA02 N03AA03 N06AX25|rifampicin rifampin rifadin carbamazepin tegretol phenytoin dilantin epanutin phenobarbital primidon hypericum johanniskraut wort|9384 2002 8183
contraceptives|G03A|ethinylestradiol levonorgestrel desogestrel drospirenon dienogest|
transplant medicines|L04AD|ciclosporin cyclosporin tacrolimus prograf|3008
theophylline|R03DA04 R03DA05|theophyllin aminophyllin|10438
`;
const [NSAIDS, ACE] = ["anti-inflammatory painkillers (NSAIDs)", "ACE inhibitors"];

/** Two groups, what comes of both, and whether a reason is needed to prescribe one beside the other. */
const PAIRS = [
  ["MAO inhibitors", "serotonin raisers", "serotonin", true], ["MAO inhibitors", "serotonergic medicines", "serotonin", true], ["serotonin raisers", "tramadol", "serotonin", false],
  ["nitrates", "sildenafil and its kind", "pressure", true], ["riociguat", "nitrates", "pressure", true], ["riociguat", "sildenafil and its kind", "pressure", true],
  ["methotrexate", "trimethoprim", "marrow", true], ["thiopurines", "allopurinol and febuxostat", "marrow", true], ["methotrexate", NSAIDS, "toxic", false],
  ["simvastatin and lovastatin", "CYP3A4 inhibitors", "muscles", true], ["simvastatin and lovastatin", "muscle harmers", "muscles", true],
  ["ergot", "CYP3A4 inhibitors", "vessels", true], ["tizanidine", "CYP1A2 inhibitors", "pressure", true], ["sacubitril", ACE, "swelling", true],
  ["colchicine", "CYP3A4 inhibitors", "toxic", true], ["colchicine", "muscle harmers", "toxic", true], ["valproate", "carbapenems", "seizures", true],
  ["coumarins", NSAIDS, "bleeding", true], ["anticoagulants", NSAIDS, "bleeding", true], ["coumarins", "anticoagulants", "bleeding", true],
  ["anticoagulants", "anticoagulants", "bleeding", true], ["coumarins", "coumarins", "bleeding", true], ["coumarins", "heparins", "bleeding", false], ["anticoagulants", "heparins", "bleeding", false],
  ["coumarins", "coumarin raisers", "bleeding", false], ["opioids", "benzodiazepines", "breathing", false], [ACE, "potassium keepers", "potassium", false],
  ["sartans", "potassium keepers", "potassium", false], [ACE, "sartans", "potassium", false], ["lithium", NSAIDS, "toxic", false], ["lithium", ACE, "toxic", false],
  ["lithium", "sartans", "toxic", false], ["lithium", "thiazides", "toxic", false], ["digoxin", "digoxin raisers", "toxic", false], ["theophylline", "CYP1A2 inhibitors", "toxic", false],
  ["verapamil and diltiazem", "beta blockers", "slow", false], ["rhythm changers", "rhythm changers", "rhythm", false], ["clopidogrel", "omeprazole and esomeprazole", "weaker", false],
  ["tamoxifen", "CYP2D6 inhibitors", "weaker", false], ["enzyme inducers", "anticoagulants", "weaker", false], ["enzyme inducers", "coumarins", "weaker", false],
  ["enzyme inducers", "contraceptives", "weaker", false], ["enzyme inducers", "transplant medicines", "weaker", false],
  [NSAIDS, NSAIDS, "two", false], ["opioids", "opioids", "two", false], ["benzodiazepines", "benzodiazepines", "two", false], ["statins", "statins", "two", false],
  [ACE, ACE, "two", false], ["beta blockers", "beta blockers", "two", false],
];

/** A name without the ending that differs between languages: fluoxetine, Fluoxetin, fluoxetina. */
const stem = (word) => (word.length > 5 ? word.replace(/(?:um|[aeo])$/, "") : word);

const [byATC, byWord, byCode] = [[], new Map(), new Map()];
const add = (map, key, group) => map.set(key, [...(map.get(key) ?? []), group]);
for (const row of ROWS.trim().split("\n")) {
  const [group, atc, names, rxnorm] = row.split("|");
  for (const code of atc.split(" ")) byATC.push([code, group]);
  for (const name of names.split(" ")) add(byWord, stem(plural(name)), group);
  for (const code of rxnorm.split(" ").filter(Boolean)) add(byCode, code, group);
}

const known = new WeakMap();
/** The groups that a medicine is of, by its codes, its words, and the classes that allergies go by. */
export function groupsOf(named) {
  if (known.has(named)) return known.get(named);
  const groups = new Set(kindsOf(named));
  for (const { system, code } of named.codings) {
    if (ATC.includes(system)) for (const [start, group] of byATC) if (text(code)?.startsWith(start)) groups.add(group);
    if (system === RXNORM) for (const group of byCode.get(text(code)) ?? []) groups.add(group);
  }
  for (const word of wordsOf(named)) for (const group of byWord.get(stem(word)) ?? []) groups.add(group);
  known.set(named, groups);
  return groups;
}

/** What comes of two medicines that are taken together: {effect, isGrave}, the gravest; null where the list has nothing. */
export function together(one, other) {
  if (isSame(one, other)) return { effect: "twice", isGrave: false };
  const [a, b] = [groupsOf(one), groupsOf(other)];
  const found = PAIRS.filter(([x, y]) => (a.has(x) && b.has(y)) || (a.has(y) && b.has(x))).sort((p, q) => Number(q[3]) - Number(p[3]))[0];
  return found ? { effect: found[2], isGrave: found[3] } : null;
}
