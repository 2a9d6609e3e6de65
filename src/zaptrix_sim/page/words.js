// Every word the page says, in both languages. A test holds the two tables to the same keys.

export const WORDS = {
  "pt-BR": {
    pageTitle: "Zaptrix · simulador",
    simulator: "simulador",
    language: "Idioma",
    connecting: "conectando…",
    live: "ao vivo",
    lost: "sem conexão · tentando de novo…",
    faults: "Falhas",
    close: "Fechar",
    phoneTitle: "Celular do cliente",
    number: "Número da empresa",
    customer: "Cliente",
    newCustomer: "Novo cliente",
    name: "Nome",
    phoneNumber: "Telefone",
    phoneNumberWrong: "O telefone tem de 8 a 15 algarismos, com o código do país: 554188887777.",
    use: "Usar",
    businessAccount: "conta comercial",
    reads: "lê na hora",
    readsHint: "Com isto ligado, o celular lê na hora o que chega",
    phoneMessages: "Mensagens no celular",
    phoneEmpty: "Escreva a primeira mensagem como cliente.",
    message: "Mensagem",
    writeAsCustomer: "Escrever como cliente",
    sendAsCustomer: "Enviar como cliente",
    toNewest: "Ir para a mais recente",
    lineTitle: "Canal aberto",
    portal: "Portal",
    noPortal: "nenhum ainda",
    operator: "Operador",
    chats: "Conversas",
    chatsEmpty: "Nenhuma conversa ainda.",
    chatPlace: "canal {line} · chat {chat}",
    unread: "mensagens novas",
    lineMessages: "Mensagens no canal aberto",
    lineEmpty: "Quando o cliente escrever, a conversa aparece aqui.",
    linePick: "Escolha uma conversa ao lado.",
    answer: "Responder ao cliente",
    writeAsOperator: "Escrever como operador",
    sendAsOperator: "Enviar como operador",
    today: "Hoje",
    yesterday: "Ontem",
    earlier: "{n} mensagens anteriores não mostradas",
    tick_sending: "Enviando",
    tick_sent: "Enviada",
    tick_delivered: "Entregue",
    tick_read: "Lida",
    tick_failed: "Não foi entregue",
    faultsHint: "Quebre um lado de propósito e veja que nada se perde.",
    faultSide: "Quem falha",
    faultWhere: "Onde",
    faultKind: "O que acontece",
    faultTimes: "Quantas vezes",
    always: "sempre",
    faultDelay: "Atraso (s)",
    faultStatus: "Código HTTP",
    faultAdd: "Ligar esta falha",
    faultsOn: "Ligadas agora",
    faultsNone: "Nenhuma: tudo funciona.",
    faultsClear: "Desligar todas",
    faultOff: "Desligar",
    timesLeft: "{n}×",
    window: "Janela de 24 horas",
    windowHint: "O WhatsApp só leva respostas até 24 horas depois do último texto do cliente.",
    windowClose: "Deixar passar 25 horas para este cliente",
    windowClosed: "Passaram 25 horas",
    side_meta: "Meta (WhatsApp)",
    side_bitrix24: "Bitrix24",
    side_oauth: "Bitrix24 OAuth",
    where_api: "nas chamadas que recebe",
    where_webhook: "nos avisos que manda",
    kind_delay: "demora",
    kind_status: "responde com erro HTTP",
    kind_throttle: "diz que é rápido demais",
    kind_accept_then_hang: "faz, mas nunca responde",
    kind_accept_then_reset: "faz, mas derruba a conexão",
    kind_reset: "não faz e derruba a conexão",
    kind_expired_token: "diz que o token venceu",
    kind_silence: "aceita e nunca mais avisa nada",
    kind_drop: "perde o aviso",
    kind_double: "manda o aviso repetido",
    kind_reorder: "troca a ordem dos avisos",
    kind_status_first: "o recibo chega antes da resposta",
    ledger: "Livro-razão",
    details: "detalhes",
    verdict: "{lost} perdidas · {doubled} duplicadas · {disordered} fora de ordem",
    ledgerInbound: "cliente → operador: {wrote} escritas, {arrived} na conversa",
    ledgerOutbound: "operador → cliente: {wrote} escritas, {arrived} no celular",
    ledgerRefused: ", {n} recusadas",
    waiting: "{n} a caminho",
    violation_lost: "perdida",
    violation_doubled: "duplicada",
    violation_disordered: "fora de ordem",
    violation_strange_conversation: "conversa errada",
    violation_state_backward: "recibo voltou atrás",
    violation_limit_exceeded: "limite excedido",
    violation_not_drained: "a caminho",
    refused: "O simulador recusou: {why}",
    unreachable: "O simulador não respondeu. Sua mensagem continua no campo.",
  },
  en: {
    pageTitle: "Zaptrix · simulator",
    simulator: "simulator",
    language: "Language",
    connecting: "connecting…",
    live: "live",
    lost: "connection lost · trying again…",
    faults: "Faults",
    close: "Close",
    phoneTitle: "The customer's phone",
    number: "Business number",
    customer: "Customer",
    newCustomer: "New customer",
    name: "Name",
    phoneNumber: "Phone",
    phoneNumberWrong: "A phone has 8 to 15 digits, country code included: 554188887777.",
    use: "Use",
    businessAccount: "business account",
    reads: "reads at once",
    readsHint: "While on, the phone reads what arrives at once",
    phoneMessages: "Messages on the phone",
    phoneEmpty: "Write the first message as the customer.",
    message: "Message",
    writeAsCustomer: "Write as the customer",
    sendAsCustomer: "Send as the customer",
    toNewest: "Go to the newest",
    lineTitle: "Open line",
    portal: "Portal",
    noPortal: "none yet",
    operator: "Operator",
    chats: "Chats",
    chatsEmpty: "No chat yet.",
    chatPlace: "line {line} · chat {chat}",
    unread: "new messages",
    lineMessages: "Messages on the open line",
    lineEmpty: "When the customer writes, the chat appears here.",
    linePick: "Choose a chat on the side.",
    answer: "Answer the customer",
    writeAsOperator: "Write as the operator",
    sendAsOperator: "Send as the operator",
    today: "Today",
    yesterday: "Yesterday",
    earlier: "{n} earlier messages not shown",
    tick_sending: "Sending",
    tick_sent: "Sent",
    tick_delivered: "Delivered",
    tick_read: "Read",
    tick_failed: "Not delivered",
    faultsHint: "Break one side on purpose and see that nothing is lost.",
    faultSide: "Who fails",
    faultWhere: "Where",
    faultKind: "What happens",
    faultTimes: "How many times",
    always: "always",
    faultDelay: "Delay (s)",
    faultStatus: "HTTP status",
    faultAdd: "Turn this fault on",
    faultsOn: "On now",
    faultsNone: "None: everything works.",
    faultsClear: "Turn all off",
    faultOff: "Turn off",
    timesLeft: "{n}×",
    window: "The 24 hours",
    windowHint: "WhatsApp takes answers only within 24 hours of the customer's last text.",
    windowClose: "Let 25 hours pass for this customer",
    windowClosed: "25 hours have passed",
    side_meta: "Meta (WhatsApp)",
    side_bitrix24: "Bitrix24",
    side_oauth: "Bitrix24 OAuth",
    where_api: "in the calls it receives",
    where_webhook: "in the webhooks it sends",
    kind_delay: "is slow",
    kind_status: "answers an HTTP error",
    kind_throttle: "says too fast",
    kind_accept_then_hang: "does it, never answers",
    kind_accept_then_reset: "does it, breaks the connection",
    kind_reset: "does nothing, breaks the connection",
    kind_expired_token: "says the token expired",
    kind_silence: "takes it, never reports again",
    kind_drop: "loses the webhook",
    kind_double: "sends the webhook repeatedly",
    kind_reorder: "swaps the webhooks' order",
    kind_status_first: "the receipt comes before the answer",
    ledger: "Ledger",
    details: "details",
    verdict: "{lost} lost · {doubled} doubled · {disordered} disordered",
    ledgerInbound: "customer → operator: {wrote} written, {arrived} in the chat",
    ledgerOutbound: "operator → customer: {wrote} written, {arrived} on the phone",
    ledgerRefused: ", {n} refused",
    waiting: "{n} on the way",
    violation_lost: "lost",
    violation_doubled: "doubled",
    violation_disordered: "disordered",
    violation_strange_conversation: "wrong conversation",
    violation_state_backward: "receipt went backward",
    violation_limit_exceeded: "limit exceeded",
    violation_not_drained: "on the way",
    refused: "The simulator refused: {why}",
    unreachable: "The simulator did not answer. Your message is still in the field.",
  },
};

const REMEMBERED = "zaptrix-sim-language";
let language = "pt-BR";

export const currentLanguage = () => language;

/** The sentence of that key in the current language; a key without a sentence shows itself. */
export function say(key, values = {}) {
  const sentence = WORDS[language][key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** ?lang= wins, then what was remembered, then pt-BR. */
export function chooseLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  setLanguage(known(asked) ?? known(recall()) ?? "pt-BR", asked !== null);
}

export function setLanguage(wanted, remember = true) {
  language = known(wanted) ?? "pt-BR";
  if (remember) keep(language);
  document.documentElement.lang = language;
  document.title = say("pageTitle");
  translateDocument();
}

function known(name) {
  if (!name) return null;
  return Object.keys(WORDS).find((code) => code.slice(0, 2) === name.toLowerCase().slice(0, 2)) ?? null;
}

const ATTRIBUTES = { wordLabel: "aria-label", wordPlaceholder: "placeholder", wordTitle: "title" };

function translateDocument() {
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const [field, attribute] of Object.entries(ATTRIBUTES)) {
    const selector = `[data-${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}]`;
    for (const element of document.querySelectorAll(selector)) {
      element.setAttribute(attribute, say(element.dataset[field]));
    }
  }
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language));
  }
}

// A browser may forbid storage (private window, foreign frame): the page works without a memory then.
function recall() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

function keep(value) {
  try {
    localStorage.setItem(REMEMBERED, value);
  } catch {
    // Not remembered, nothing else lost.
  }
}
