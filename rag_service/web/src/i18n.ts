/** The words of the chat, and which way they run. */

import type { Problem } from "./problem";
import type { Reason } from "./types";

export interface Strings {
  title: string;
  greeting: string;
  greetingDetail: string;
  openChat: string;
  closeChat: string;
  newConversation: string;
  conversation: string;
  messageLabel: string;
  messagePlaceholder: string;
  tooLong: (over: number) => string;
  send: string;
  stop: string;
  retry: string;
  latest: string;
  you: string;
  answer: string;
  searching: string;
  lost: string;
  busy: string;
  answering: string;
  answered: string;
  quoted: string;
  degraded: string;
  refused: string;
  stopped: string;
  cutShort: string;
  unsupported: string;
  sources: string;
  source: (number: number, title: string) => string;
  nextTo: (number: number) => string;
  page: (page: number) => string;
  quoteHeading: (number: number) => string;
  passage: string;
  wholePassage: string;
  close: string;
  table: string;
  code: string;
  opening: string;
  tools: string;
  like: string;
  dislike: string;
  why: string;
  reasons: Readonly<Record<Reason, string>>;
  regenerate: string;
  edit: string;
  cancel: string;
  previous: string;
  next: string;
  version: (number: number, count: number) => string;
  problems: Readonly<Record<string, string>>;
}

export const en: Strings = {
  title: "Ask the documents",
  greeting: "What would you like to know?",
  greetingDetail: "Answers come from the documents. The numbers in an answer show the passage it rests on.",
  openChat: "Open the chat",
  closeChat: "Close the chat",
  newConversation: "New conversation",
  conversation: "Conversation",
  messageLabel: "Your question",
  messagePlaceholder: "Ask a question…",
  tooLong: (over) => `${over} characters too long`,
  send: "Send",
  stop: "Stop answering",
  retry: "Try again",
  latest: "To the latest",
  you: "You asked",
  answer: "Answer",
  searching: "Searching the documents…",
  lost: "Connection lost, trying again…",
  busy: "The service is busy, trying again…",
  answering: "Answering…",
  answered: "The answer is complete.",
  quoted: "Quoted word for word from the documents",
  degraded: "The language model is not available just now, so the documents are quoted instead",
  refused: "Nothing in the documents answers this",
  stopped: "Stopped",
  cutShort: "The answer reached its greatest length and was cut short",
  unsupported: "Not found in the documents; check it before you rely on it:",
  sources: "Sources",
  source: (number, title) => `Source ${number}: ${title}`,
  nextTo: (number) => `Stands next to source ${number}`,
  page: (page) => `Page ${page}`,
  quoteHeading: (number) => `Source ${number}`,
  passage: "Passage",
  wholePassage: "Show the whole passage",
  close: "Close",
  table: "Table",
  code: "Code",
  opening: "Opening the chat…",
  tools: "About this answer",
  like: "Good answer",
  dislike: "Bad answer",
  why: "What is wrong with it?",
  reasons: {
    wrong: "It is wrong",
    incomplete: "It is not complete",
    outdated: "It is out of date",
    irrelevant_sources: "The sources do not fit",
    refused_wrongly: "The documents do answer this",
    other: "Something else",
  },
  regenerate: "Answer again",
  edit: "Change the question",
  cancel: "Cancel",
  previous: "The version before",
  next: "The next version",
  version: (number, count) => `Version ${number} of ${count}`,
  problems: {
    unreachable: "The service cannot be reached. Check your connection and try again.",
    cut_off: "The connection was lost before the answer was complete.",
    identity_required: "Sign in to this site to use the chat.",
    identity_not_valid: "Your sign-in has ended. Reload the page.",
    origin_not_allowed: "This chat is not available on this site.",
    embed_not_found: "This chat is switched off.",
    unauthenticated: "Your visit has ended. Start a new conversation.",
    not_found: "This conversation is no longer there. Start a new one.",
    starting: "The service is just starting. Try again in a moment.",
    busy: "The service has a lot to do just now. Try again in a moment.",
    too_many_requests: "Too many questions at once. Wait a moment and try again.",
    unexpected: "Something went wrong. Try again.",
  },
};

const bn: Strings = {
  title: "নথিকে জিজ্ঞাসা করুন",
  greeting: "আপনি কী জানতে চান?",
  greetingDetail: "উত্তর আসে নথি থেকে। উত্তরের ভেতরের সংখ্যাগুলো দেখায় কোন অংশের ওপর তা দাঁড়িয়ে আছে।",
  openChat: "চ্যাট খুলুন",
  closeChat: "চ্যাট বন্ধ করুন",
  newConversation: "নতুন কথোপকথন",
  conversation: "কথোপকথন",
  messageLabel: "আপনার প্রশ্ন",
  messagePlaceholder: "একটি প্রশ্ন করুন…",
  tooLong: (over) => `${over.toLocaleString("bn")}টি অক্ষর বেশি`,
  send: "পাঠান",
  stop: "উত্তর থামান",
  retry: "আবার চেষ্টা করুন",
  latest: "সর্বশেষে যান",
  you: "আপনার প্রশ্ন",
  answer: "উত্তর",
  searching: "নথি খোঁজা হচ্ছে…",
  lost: "সংযোগ বিচ্ছিন্ন হয়েছে, আবার চেষ্টা করা হচ্ছে…",
  busy: "সেবাটি ব্যস্ত, আবার চেষ্টা করা হচ্ছে…",
  answering: "উত্তর লেখা হচ্ছে…",
  answered: "উত্তর সম্পূর্ণ হয়েছে।",
  quoted: "নথি থেকে হুবহু উদ্ধৃত",
  degraded: "ভাষা মডেলটি এখন পাওয়া যাচ্ছে না, তাই নথি থেকে উদ্ধৃত করা হলো",
  refused: "নথিতে এর উত্তর নেই",
  stopped: "থামানো হয়েছে",
  cutShort: "উত্তরটি সর্বোচ্চ দৈর্ঘ্যে পৌঁছে কেটে গেছে",
  unsupported: "নথিতে পাওয়া যায়নি; নির্ভর করার আগে যাচাই করুন:",
  sources: "সূত্র",
  source: (number, title) => `সূত্র ${number.toLocaleString("bn")}: ${title}`,
  nextTo: (number) => `সূত্র ${number.toLocaleString("bn")}-এর পাশে আছে`,
  page: (page) => `পৃষ্ঠা ${page.toLocaleString("bn")}`,
  quoteHeading: (number) => `সূত্র ${number.toLocaleString("bn")}`,
  passage: "অংশ",
  wholePassage: "পুরো অংশটি দেখান",
  close: "বন্ধ করুন",
  table: "সারণি",
  code: "কোড",
  opening: "চ্যাট খোলা হচ্ছে…",
  tools: "এই উত্তর নিয়ে",
  like: "উত্তরটি ভালো",
  dislike: "উত্তরটি ভালো নয়",
  why: "কী সমস্যা?",
  reasons: {
    wrong: "উত্তরটি ভুল",
    incomplete: "উত্তরটি অসম্পূর্ণ",
    outdated: "তথ্য পুরোনো",
    irrelevant_sources: "সূত্রগুলো মেলে না",
    refused_wrongly: "নথিতে এর উত্তর আছে",
    other: "অন্য কিছু",
  },
  regenerate: "আবার উত্তর দিন",
  edit: "প্রশ্নটি বদলান",
  cancel: "বাতিল",
  previous: "আগের সংস্করণ",
  next: "পরের সংস্করণ",
  version: (number, count) => `${count.toLocaleString("bn")}টির মধ্যে সংস্করণ ${number.toLocaleString("bn")}`,
  problems: {
    unreachable: "সেবাটিতে পৌঁছানো যাচ্ছে না। সংযোগ দেখে আবার চেষ্টা করুন।",
    cut_off: "উত্তর সম্পূর্ণ হওয়ার আগেই সংযোগ বিচ্ছিন্ন হয়ে গেছে।",
    identity_required: "চ্যাট ব্যবহার করতে এই সাইটে সাইন ইন করুন।",
    identity_not_valid: "আপনার সাইন ইনের মেয়াদ শেষ। পাতাটি আবার লোড করুন।",
    origin_not_allowed: "এই সাইটে এই চ্যাট ব্যবহার করা যায় না।",
    embed_not_found: "এই চ্যাটটি বন্ধ আছে।",
    unauthenticated: "আপনার সময় শেষ হয়েছে। নতুন কথোপকথন শুরু করুন।",
    not_found: "এই কথোপকথনটি আর নেই। নতুন একটি শুরু করুন।",
    starting: "সেবাটি এইমাত্র চালু হচ্ছে। একটু পরে আবার চেষ্টা করুন।",
    busy: "সেবাটি এখন খুব ব্যস্ত। একটু পরে আবার চেষ্টা করুন।",
    too_many_requests: "একসঙ্গে অনেক প্রশ্ন হয়ে গেছে। একটু অপেক্ষা করে আবার চেষ্টা করুন।",
    unexpected: "কিছু একটা সমস্যা হয়েছে। আবার চেষ্টা করুন।",
  },
};

const ar: Strings = {
  title: "اسأل الوثائق",
  greeting: "ماذا تريد أن تعرف؟",
  greetingDetail: "تأتي الإجابات من الوثائق، والأرقام فيها تدل على المقطع الذي تستند إليه.",
  openChat: "افتح المحادثة",
  closeChat: "أغلق المحادثة",
  newConversation: "محادثة جديدة",
  conversation: "المحادثة",
  messageLabel: "سؤالك",
  messagePlaceholder: "اطرح سؤالاً…",
  tooLong: (over) => `أطول من الحد بمقدار ${over} حرفاً`,
  send: "أرسل",
  stop: "أوقف الإجابة",
  retry: "أعد المحاولة",
  latest: "إلى الأحدث",
  you: "سؤالك",
  answer: "الإجابة",
  searching: "جارٍ البحث في الوثائق…",
  lost: "انقطع الاتصال، تجري المحاولة من جديد…",
  busy: "الخدمة مشغولة، تجري المحاولة من جديد…",
  answering: "جارٍ كتابة الإجابة…",
  answered: "اكتملت الإجابة.",
  quoted: "مقتبس حرفياً من الوثائق",
  degraded: "نموذج اللغة غير متاح الآن، لذلك اقتُبس من الوثائق مباشرة",
  refused: "لا يوجد في الوثائق ما يجيب عن هذا",
  stopped: "أُوقفت",
  cutShort: "بلغت الإجابة أقصى طول لها فقُطعت",
  unsupported: "لم يُعثر عليه في المستندات؛ تحقق منه قبل الاعتماد عليه:",
  sources: "المصادر",
  source: (number, title) => `المصدر ${number}: ${title}`,
  nextTo: (number) => `بجوار المصدر ${number}`,
  page: (page) => `صفحة ${page}`,
  quoteHeading: (number) => `المصدر ${number}`,
  passage: "المقطع",
  wholePassage: "اعرض المقطع كاملاً",
  close: "أغلق",
  table: "جدول",
  code: "شيفرة",
  opening: "جارٍ فتح المحادثة…",
  tools: "حول هذه الإجابة",
  like: "إجابة جيدة",
  dislike: "إجابة سيئة",
  why: "ما المشكلة؟",
  reasons: {
    wrong: "الإجابة خاطئة",
    incomplete: "الإجابة ناقصة",
    outdated: "المعلومات قديمة",
    irrelevant_sources: "المصادر غير مناسبة",
    refused_wrongly: "الوثائق تجيب عن هذا",
    other: "شيء آخر",
  },
  regenerate: "أجب مرة أخرى",
  edit: "عدّل السؤال",
  cancel: "إلغاء",
  previous: "النسخة السابقة",
  next: "النسخة التالية",
  version: (number, count) => `النسخة ${number} من ${count}`,
  problems: {
    unreachable: "تعذّر الوصول إلى الخدمة. تحقق من الاتصال ثم أعد المحاولة.",
    cut_off: "انقطع الاتصال قبل اكتمال الإجابة.",
    identity_required: "سجّل الدخول إلى هذا الموقع لاستخدام المحادثة.",
    identity_not_valid: "انتهت جلسة دخولك. أعد تحميل الصفحة.",
    origin_not_allowed: "هذه المحادثة غير متاحة في هذا الموقع.",
    embed_not_found: "هذه المحادثة متوقفة.",
    unauthenticated: "انتهت زيارتك. ابدأ محادثة جديدة.",
    not_found: "لم تعد هذه المحادثة موجودة. ابدأ محادثة جديدة.",
    starting: "الخدمة قيد التشغيل. أعد المحاولة بعد لحظات.",
    busy: "الخدمة مشغولة الآن. أعد المحاولة بعد لحظات.",
    too_many_requests: "أسئلة كثيرة في وقت واحد. انتظر قليلاً ثم أعد المحاولة.",
    unexpected: "حدث خطأ ما. أعد المحاولة.",
  },
};

const LANGUAGES: Readonly<Record<string, Strings>> = { en, bn, ar };
const RIGHT_TO_LEFT = new Set(["ar", "arc", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"]);

export interface Locale {
  /** The language of the strings. */
  lang: string;
  /** The direction of the language asked for, even where English has to stand in for its words. */
  dir: "ltr" | "rtl";
  strings: Strings;
}

/** The first of the wanted languages (`bn-BD`, `en`) that can be spoken; else English. */
export function localeFor(...wanted: readonly (string | null | undefined)[]): Locale {
  const names = wanted
    .map((tag) => tag?.trim().toLowerCase().split(/[-_]/)[0] ?? "")
    .filter((name) => name !== "");
  const lang = names.find((name) => Object.hasOwn(LANGUAGES, name)) ?? "en";
  return { lang, dir: RIGHT_TO_LEFT.has(names[0] ?? lang) ? "rtl" : "ltr", strings: LANGUAGES[lang] ?? en };
}

/** A failure as a sentence: ours where we know the case, else the server's. */
export function sentence(problem: Problem, strings: Strings): string {
  const known = strings.problems[problem.code];
  if (known) return known;
  if (problem.status === 429) return strings.problems.too_many_requests ?? problem.message;
  if (problem.detail) return problem.detail;
  return (problem.status === 503 ? strings.problems.busy : strings.problems.unexpected) ?? problem.message;
}
