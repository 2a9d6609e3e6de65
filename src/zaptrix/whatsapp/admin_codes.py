"""Meta's codes of what only admins do: registration, calls, flows, names, onboarding. Rows of the table in `codes`.

No message of ours should meet one; a message that does is refused, and the admin is told what it is about.
"""

from __future__ import annotations

from zaptrix.core.codes import Both, Kind, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        (133005,),
        Kind.REFUSED,
        Both(
            "O PIN de duas etapas está errado. Redefina-o no Gerenciador do WhatsApp.",
            "The two-step PIN is wrong. Reset it in WhatsApp Manager.",
        ),
    ),
    Rule(
        (133008, 133009),
        Kind.TOO_FAST,
        Both(
            "PIN tentado vezes demais ou depressa demais. O detalhe diz quanto esperar.",
            "The PIN was tried too often or too fast. The detail tells how long to wait.",
        ),
        wait_s=3600.0,
    ),
    Rule(
        (133016,),
        Kind.TOO_FAST,
        Both(
            "O número foi registrado ou removido mais de 10 vezes em 72 horas. Espere esse prazo.",
            "The number was registered or removed more than 10 times in 72 hours. Wait until they have passed.",
        ),
        wait_s=3600.0,
    ),
    Rule(
        (136024, 136025),
        Kind.REFUSED,
        Both(
            "O código de verificação não pôde ser pedido ou conferido. Peça outro mais tarde.",
            "The verification code could not be requested or checked. Ask for another one later.",
        ),
    ),
    Rule(
        (range(138000, 138008), 138009, 138012, 138018, 138038),
        Kind.REFUSED,
        Both(
            "Erro de chamadas de voz do WhatsApp, que o Zaptrix não faz.",
            "An error of WhatsApp calls, which Zaptrix does not make.",
        ),
    ),
    Rule(
        (range(139000, 139005),),
        Kind.REFUSED,
        Both(
            "O Flow não pôde ser mudado ou publicado. Veja o motivo no Gerenciador do WhatsApp.",
            "The Flow could not be changed or published. See the reason in WhatsApp Manager.",
        ),
    ),
    Rule(
        (139100, 139101),
        Kind.REFUSED,
        Both(
            "A lista de bloqueio não pôde ser mudada por inteiro ou está cheia. Confira-a no Gerenciador do WhatsApp.",
            "The block list could not be changed in full, or is full. Check it in WhatsApp Manager.",
        ),
    ),
    Rule(
        (139102, 139103),
        Kind.UNAVAILABLE,
        Both(
            "A lista de bloqueio está sendo mudada por outro programa, ou a Meta falhou. Passa sozinho.",
            "Another program is changing the block list, or Meta failed. It passes by itself.",
        ),
    ),
    Rule(
        (range(147001, 147006),),
        Kind.REFUSED,
        Both(
            "O nome de usuário da empresa está tomado ou não é permitido. Escolha outro.",
            "The business username is taken, or not allowed. Choose another one.",
        ),
    ),
    Rule(
        (range(200005, 200008),),
        Kind.REFUSED,
        Both(
            "As estatísticas de modelos não estão ligadas nesta conta. Ligue-as no Gerenciador do WhatsApp.",
            "Template insights are not on for this account. Turn them on in WhatsApp Manager.",
        ),
    ),
    Rule(
        (2388019, 2388039, *(f"100/{sub}" for sub in (2388040, 2388047, 2388072, 2388073, 2388293, 2388299))),
        Kind.REFUSED,
        Both(
            "O modelo não pode ser criado ou editado assim: limite de modelos, tamanho, formato ou variáveis. Veja o "
            "detalhe.",
            "The template cannot be created or edited like this: number of templates, length, format or variables. "
            "Look at the detail.",
        ),
        "template",
    ),
    Rule(
        (2388001, 2388012, 2388091, 2388093, 2388103),
        Kind.REFUSED,
        Both(
            "O número ainda não pode migrar para esta conta. Veja no detalhe o que falta.",
            "The number cannot move to this account yet. The detail tells what is missing.",
        ),
    ),
    Rule(
        (1752041, 2494191, 2593079, 2593085, 2593107, 2593108, 2593109),
        Kind.REFUSED,
        Both(
            "Erro da ligação da conta à Meta (onboarding, coexistência, parceiro). Refaça a ligação do número.",
            "An error of joining the account to Meta (onboarding, coexistence, partner). Join the number again.",
        ),
    ),
)
