// Which medicines are of one kind, for a reminder about allergies: classes by the groups of the Anatomical Therapeutic
// Chemical classification (WHO Collaborating Centre for Drug Statistics Methodology, ATC index), substances by their
// international nonproprietary names and some trade names, RxNorm's ingredient numbers (US National Library of Medicine),
// and a few codes of SNOMED CT. It is small: what is not in it is compared by words alone, and the page says so.

/** Classes: their name, ATC groups, words and codes that mean the whole class, classes that are close to them, and those
 * that they contain. */
export const CLASSES = {
  "beta-lactams": {
    atc: [], near: [], contains: ["penicillins", "cephalosporins", "carbapenems"], rxnorm: [], snomed: [],
    words: "betalactam betalactams betalactamine betalactaminas betalactamico betalaktam",
  },
  penicillins: {
    atc: ["J01C"], near: ["cephalosporins", "carbapenems"], rxnorm: ["70618"], snomed: ["91936005", "373270004", "764146007", "6369005"],
    words: "pcn penicillin penicillins penicilline penicillines penicilina penicilinas penicillina penisilin penicilin penicylina пенициллин penicillinum 青霉素 盘尼西林 "
      + "青黴素 ペニシリン 페니실린 البنسلين بنسلين πενικιλλίνη פניצילין पेनिसिलिन เพนิซิลลิน",
  },
  cephalosporins: {
    atc: ["J01DB", "J01DC", "J01DD", "J01DE", "J01DI"], near: ["penicillins"], rxnorm: [], snomed: ["294532003"],
    words: "cephalosporin cephalosporins cefalosporin cefalosporine cefalosporina cefalosporinas céphalosporine céphalosporines цефалоспорин 头孢 頭孢 頭孢菌素 セフェム セファロスポリン 세팔로스포린",
  },
  carbapenems: { atc: ["J01DH"], near: ["penicillins"], rxnorm: [], snomed: [], words: "carbapenem carbapenems carbapénème 碳青霉烯" },
  sulfonamides: {
    atc: ["J01EB", "J01EC", "J01ED", "J01EE"], near: [], rxnorm: [], snomed: ["387406002", "91939003", "294499007"],
    words: "sulfa sulpha sulfonamide sulfonamides sulphonamide sulphonamides sulfonamid sulfonamida sulfamidés sulfamide sulfamidico сульфаниламид 磺胺 サルファ 설폰아미드",
  },
  macrolides: { atc: ["J01FA"], near: [], rxnorm: [], snomed: [], words: "macrolide macrolides makrolid makrolide macrólido macrolidi макролид 大环内酯 マクロライド" },
  tetracyclines: { atc: ["J01A"], near: [], rxnorm: [], snomed: [], words: "tetracyclines tetracycline tetracyclin tetraciclina тетрациклин 四环素 テトラサイクリン" },
  quinolones: {
    atc: ["J01M"], near: [], rxnorm: [], snomed: [],
    words: "quinolone quinolones fluoroquinolone fluoroquinolones fluorchinolon fluorochinolone quinolona хинолон 喹诺酮 キノロン",
  },
  aminoglycosides: { atc: ["J01G"], near: [], rxnorm: [], snomed: [], words: "aminoglycoside aminoglycosides aminoglykosid aminoglucósido 氨基糖苷" },
  "anti-inflammatory painkillers (NSAIDs)": {
    atc: ["M01A", "N02BA", "B01AC06"], near: [], rxnorm: [], snomed: ["293585002", "293610009"],
    words: "nsaid nsaids nsar ains aine fans salicylate salicylates salicylat salicilato 非甾体抗炎药 解热镇痛药",
  },
  opioids: { atc: ["N02A", "R05DA"], near: [], rxnorm: [], snomed: [], words: "opioid opioids opiate opiates opioide opiacé opiacés опиоид 阿片 オピオイド" },
  "ACE inhibitors": { atc: ["C09A", "C09B"], near: [], rxnorm: [], snomed: [], words: "acei aceinhibitor" },
  statins: { atc: ["C10AA"], near: [], rxnorm: [], snomed: [], words: "statin statins statine estatina статин 他汀 スタチン" },
  "local anaesthetics": {
    atc: [], near: [], contains: ["local anaesthetics (amides)", "local anaesthetics (esters)"], rxnorm: [], snomed: [], words: "localanaesthetic caine",
  },
  "local anaesthetics (esters)": { atc: ["N01BA"], near: [], rxnorm: [], snomed: [], words: "" },
  "local anaesthetics (amides)": { atc: ["N01BB"], near: [], rxnorm: [], snomed: [], words: "" },
  heparins: { atc: ["B01AB"], near: [], rxnorm: [], snomed: [], words: "heparins héparine heparin heparine heparina гепарин 肝素 ヘパリン 헤파린" },
  "iodinated contrast media": {
    atc: ["V08A"], near: [], rxnorm: [], snomed: ["293637006"], words: "iodinated contrast radiocontrast contraste kontrastmittel iodkontrastmittel jodkontrastmittel",
  },
  "antiepileptics with an aromatic ring": { atc: ["N03AB", "N03AF"], near: [], rxnorm: [], snomed: [], words: "" },
};

/** Substances: class | names, the first the international one | RxNorm's ingredient | SNOMED CT's codes. */
const ROWS = `
penicillins|amoxicillin amoxicilline amoxicilina amoxicillina amoxycillin amoksisilin amoxil augmentin amoxiclav coamoxiclav clamoxyl clavulin amoclav trimox moxatag амоксициллин аугментин 阿莫西林 アモキシシリン 아목시실린 أموكسيسيلين|723 19711|372687004 294505008
penicillins|ampicillin ampicilline ampicilina unasyn ампициллин 氨苄西林 アンピシリン|733|
penicillins|benzylpenicillin bicillin bicilline 苄青霉素|7980|
penicillins|phenoxymethylpenicillin penicillinv isocillin oracilline|7984|
penicillins|oxacillin|7773|
penicillins|cloxacillin||
penicillins|flucloxacillin floxapen staphylex||
penicillins|dicloxacillin|3356|
penicillins|nafcillin|7233|
penicillins|piperacillin piperacilline piptaz pipertaz tazocin zosyn tazobac 哌拉西林|8339|
penicillins|ticarcillin timentin|10591|
penicillins|pivmecillinam selexid||
penicillins|sultamicillin||
penicillins|temocillin||
cephalosporins|cefalexin cephalexin keflex 头孢氨苄|2231|
cephalosporins|cefazolin cefazoline ancef kefzol|2180|
cephalosporins|cefuroxime cefuroxim zinnat ceftin|2194|
cephalosporins|cefaclor|2176|
cephalosporins|cefadroxil|2177|
cephalosporins|cefixime suprax|25033|
cephalosporins|cefotaxime claforan|2186|
cephalosporins|ceftriaxone ceftriaxon rocephin rocephine 头孢曲松 セフトリアキソン|2193|
cephalosporins|ceftazidime fortaz|2191|
cephalosporins|cefepime maxipime|20481|
cephalosporins|cefpodoxime|20489|
cephalosporins|cefdinir omnicef|25037|
carbapenems|meropenem|29561|
carbapenems|imipenem tienam|5690|
carbapenems|ertapenem invanz|325642|
sulfonamides|sulfamethoxazole sulfamethoxazol sulfametoxazol bactrim septra cotrimoxazole cotrimoxazol smx smz trimoxazole trimoxazol 复方新诺明|10180 10831|
sulfonamides|sulfadiazine sulfadiazin|10171|
sulfonamides|sulfasalazine sulfasalazin salazopyrin azulfidine|9524|
macrolides|erythromycin erythromycine eritromicina 红霉素 エリスロマイシン|4053|
macrolides|azithromycin azithromycine azitromicina zithromax 阿奇霉素|18631|
macrolides|clarithromycin clarithromycine claritromicina biaxin klacid クラリスロマイシン|21212|
macrolides|roxithromycin||
tetracyclines|doxycycline doxycyclin doxiciclina vibramycin|3640|
tetracyclines|minocycline minocyclin|6980|
tetracyclines|tigecycline|384455|
quinolones|ciprofloxacin ciprofloxacine ciprofloxacino cipro ciproxin 环丙沙星|2551|387170002
quinolones|levofloxacin levofloxacine levofloxacino levaquin tavanic 左氧氟沙星|82122|
quinolones|moxifloxacin avelox|139462|
quinolones|norfloxacin|7517|
quinolones|ofloxacin|7623|
aminoglycosides|gentamicin gentamicine gentamicina 庆大霉素|1596450|
aminoglycosides|amikacin|641|
aminoglycosides|tobramycin|10627|
aminoglycosides|streptomycin 链霉素|10109|
anti-inflammatory painkillers (NSAIDs)|aspirin seltzer alkaseltzer acetylsalicylic acetylsalicylsäure asa ass aspirine aspirina acetylsalicylique аспирин 阿司匹林 アスピリン 아스피린 أسبرين|1191|387458008 293586001
anti-inflammatory painkillers (NSAIDs)|ibuprofen ibuprofène ibuprofeno advil motrin nurofen brufen ибупрофен 布洛芬 イブプロフェン|5640|387207008 293619005
anti-inflammatory painkillers (NSAIDs)|naproxen naproxène naproxeno aleve naprosyn|7258|
anti-inflammatory painkillers (NSAIDs)|diclofenac diclofénac diclofenaco voltaren voltarol диклофенак 双氯芬酸|3355|
anti-inflammatory painkillers (NSAIDs)|ketorolac toradol|35827|
anti-inflammatory painkillers (NSAIDs)|ketoprofen|6142|10099000
anti-inflammatory painkillers (NSAIDs)|indomethacin indometacin indocin|5781|
anti-inflammatory painkillers (NSAIDs)|meloxicam mobic|41493|
anti-inflammatory painkillers (NSAIDs)|piroxicam|8356|
anti-inflammatory painkillers (NSAIDs)|celecoxib celebrex|140587|
anti-inflammatory painkillers (NSAIDs)|etoricoxib arcoxia||
opioids|morphine morphin morfina морфин 吗啡 モルヒネ|7052|373529000
opioids|codeine codein codamol cocodamol codéine codeína кодеин 可待因|2670|387494007
opioids|oxycodone oxycodon oxycontin percocet|7804|
opioids|hydrocodone vicodin norco|5489|
opioids|hydromorphone dilaudid|3423|
opioids|fentanyl fentanilo duragesic 芬太尼|4337|
opioids|tramadol tramal ultram 曲马多|10689|
opioids|methadone methadon|6813|
opioids|pethidine meperidine demerol|6754|
opioids|buprenorphine subutex|1819|
ACE inhibitors|lisinopril zestril prinivil|29046|
ACE inhibitors|enalapril vasotec|3827|
ACE inhibitors|ramipril tritace altace|35296|
ACE inhibitors|captopril capoten|1998|
ACE inhibitors|perindopril|54552|
ACE inhibitors|benazepril|18867|
statins|simvastatin simvastatine zocor|36567|
statins|atorvastatin atorvastatine lipitor sortis|83367|
statins|rosuvastatin crestor|301542|
statins|pravastatin|42463|
local anaesthetics (amides)|lidocaine lidocain lidocaïne lidocaína lignocaine xylocaine 利多卡因 リドカイン|6387|
local anaesthetics (amides)|bupivacaine|1815|
local anaesthetics (amides)|mepivacaine||
local anaesthetics (amides)|ropivacaine||
local anaesthetics (amides)|prilocaine||
local anaesthetics (amides)|articaine||
local anaesthetics (esters)|procaine novocaine||
local anaesthetics (esters)|benzocaine||
local anaesthetics (esters)|tetracaine amethocaine||
heparins|enoxaparin lovenox clexane|67108|
heparins|dalteparin fragmin|67109|
iodinated contrast media|iohexol omnipaque||
iodinated contrast media|iopamidol||
iodinated contrast media|iodixanol visipaque||
antiepileptics with an aromatic ring|carbamazepine carbamazepin tegretol 卡马西平|2002|
antiepileptics with an aromatic ring|oxcarbazepine trileptal|32624|
antiepileptics with an aromatic ring|phenytoin dilantin epanutin 苯妥英|8183|
`;

/** What is written in several words and means one, or in letters that alone would mean anything. */
export const PHRASES = [
  [/\b(?:beta|b)[\s-]?la[ck]tam(?!as)/gu, " betalactam"],
  [/β[\s-]?la[ck]tam(?!as)/gu, " betalactam"],
  [/\bpen[\s-]?v(?:k|\b)/gu, " penicillinv "],
  [/\bpen[\s-]?g\b/gu, " benzylpenicillin "],
  [/\bpip(?:eracillin)?[\s/-]?taz(?:o|obactam)?\b/gu, " piperacillin "],
  [/\blocal\s+an(?:a?e)sthetics?\b/gu, " localanaesthetic "],
  [/(?<=[a-z]{4})allergien?\b/gu, " "],
  [/\blokalan(?:a|ae)sthetik(?:um|a)\b/gu, " localanaesthetic "],
];

/** Substances by name: {name, kind, names, rxnorm, snomed}. */
export const SUBSTANCES = ROWS.trim().split("\n").map((row) => {
  const [kind, names, rxnorm, snomed] = row.split("|").map((part, index) => (index === 0 ? part : part.split(" ").filter(Boolean)));
  return { name: names[0], kind, names, rxnorm, snomed };
});
