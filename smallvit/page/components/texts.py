"""What the page says, as (English, Korean). `{names}` are filled in when it is said."""

TEXTS = {
    # The head of the page.
    "introduction": (
        "# Vision Transformers for little data\n\n"
        "A ViT needs much data because nothing tells it that neighbouring pixels belong together. Two ideas of "
        "[Lee, Lee and Song (2021)](https://arxiv.org/abs/2112.13492) are meant to mend that: **Shifted Patch Tokenization** (SPT) "
        "and **Locality Self-Attention** (LSA). Give an image to a model with them and to one without.",
        "# 적은 데이터로 배우는 비전 트랜스포머\n\n"
        "ViT는 이웃한 픽셀이 서로 관련 있다는 사실을 알지 못하므로 많은 데이터가 필요합니다. "
        "[Lee, Lee, Song (2021)](https://arxiv.org/abs/2112.13492)의 두 가지 아이디어, **전환된 패치 토큰화**(SPT)와 "
        "**지역성 셀프 어텐션**(LSA)이 이를 보완하려는 것입니다. 두 아이디어를 적용한 모델과 적용하지 않은 모델에 같은 사진을 보여 주세요.",
    ),
    "no_model": (
        "No model could be loaded, so no image can be classified. `python train.py --preset laptop` trains both, "
        "`python app.py --models runs` shows them.",
        "불러올 수 있는 모델이 없어 사진을 분류할 수 없습니다. `python train.py --preset laptop`으로 두 모델을 트레이닝하고 "
        "`python app.py --models runs`로 볼 수 있습니다.",
    ),
    "warming": (
        "The models are still being loaded; the first answer may take some seconds.",
        "모델을 불러오는 중입니다. 첫 번째 답은 몇 초 걸릴 수 있습니다.",
    ),
    "fetching": ("{model} is being fetched from the Hub.", "{model}을(를) 허브에서 가져오는 중입니다."),
    "try_again": ("Try again", "다시 시도"),
    "no_image": (
        "Choose an image: your own, or one of the examples below it in the first view.",
        "사진을 고르세요. 직접 올리거나 첫 화면의 예시에서 고를 수 있습니다.",
    ),
    # Compare.
    "tab_compare": ("Compare", "비교"),
    "your_image": ("Your image", "내 사진"),
    "examples": ("Examples", "예시"),
    "address": ("… or the address of an image", "… 또는 사진의 주소"),
    "seen": ("**What they see**", "**모델이 보는 것**"),
    "seen_alt": (
        "Your image, cut to a square and reduced to {side} by {side} pixels",
        "정사각형으로 자르고 {side} x {side} 픽셀로 줄인 사진",
    ),
    "link": ("Copy a link to this result", "이 결과의 링크 복사"),
    "link_help": (
        "It works as long as the image is kept: up to an hour.",
        "사진이 보관되는 동안(최대 한 시간) 유효합니다.",
    ),
    "model_left": ("One model", "모델 하나"),
    "model_right": ("Another model", "다른 모델"),
    "card_accuracy": ("Right on {top1} % of the test images", "테스트 사진 정답률 {top1} %"),
    "card_parameters": ("{parameters} parameters", "파라미터 {parameters}개"),
    "card_source": ("From the Hub: {repo}", "허브에서: {repo}"),
    "card_time": ("{milliseconds} ms", "{milliseconds} ms"),
    "unsure": ("It is unsure.", "확신하지 못합니다."),
    "agree": ("Both say {left}.", "두 모델 모두 {left}(이)라고 답합니다."),
    "disagree": ("They disagree: {left} against {right}.", "답이 다릅니다: {left} 대 {right}."),
    "unknown": (
        "No model here is sure: this may be something they do not know. They know {count} classes, listed below.",
        "확신하는 모델이 없습니다. 모델이 모르는 것일 수 있습니다. 모델은 아래에 있는 {count}개 클래스만 압니다.",
    ),
    "fair": (
        "Same recipe, same data: the two differ in the ideas alone.",
        "같은 학습 방법, 같은 데이터: 두 모델은 아이디어만 다릅니다.",
    ),
    "unfair": (
        "The two differ in more than the ideas, or in none: what they say is no measure of the ideas.",
        "두 모델은 아이디어 말고도 다른 점이 있거나 아이디어가 같으므로, 이 비교로 아이디어를 평가할 수 없습니다.",
    ),
    "when_unsure": ("When is a model unsure?", "모델은 언제 확신하지 못하나요?"),
    "when_unsure_text": (
        "When its highest probability is lower than for 95 of 100 validation images that it got right. One right answer "
        "in twenty falls below, too. It is a weak sign: most wrong answers stand above it, and so may an image of "
        "something other than its classes, even noise. (The baseline of "
        "[Hendrycks and Gimpel 2017](https://arxiv.org/abs/1610.02136).)",
        "가장 높은 확률이, 맞힌 검증 사진 100장 중 95장의 확률보다 낮을 때입니다. 맞는 답도 스무 번에 한 번은 그 아래로 "
        "떨어집니다. 약한 신호일 뿐입니다. 틀린 답도 대부분 그 위에 있고, 클래스에 없는 대상이나 잡음 사진도 그럴 수 있습니다. "
        "([Hendrycks, Gimpel 2017](https://arxiv.org/abs/1610.02136)의 기준선)",
    ),
    "classes": (
        "What the models were trained on, and all classes that they know",
        "학습 데이터와 모델이 아는 모든 클래스",
    ),
    "data_text": (
        "{data}: {train} training, {validation} validation and {test} test images of {count} classes, at {side} by {side} "
        "pixels.",
        "{data}: 트레이닝 사진 {train}장, 검증 사진 {validation}장, 테스트 사진 {test}장, 클래스 {count}개, {side} x {side} 픽셀.",
    ),
    "classes_text": ("By superclass:", "상위 클래스별:"),
    # Shifted patches.
    "tab_patches": ("Shifted patches", "이동한 패치"),
    "patches_text": (
        "A plain ViT cuts the image into patches and makes a token of each. **Shifted Patch Tokenization** makes a "
        "token of five patches at once: that of the original, and those that four copies have in the same place, each "
        "moved by half a patch along a diagonal. A token sees past the edge of its patch.",
        "보통의 ViT는 사진을 패치로 자르고 패치마다 토큰을 하나 만듭니다. **전환된 패치 토큰화**는 다섯 패치로 토큰 하나를 "
        "만듭니다. 원본의 패치와, 대각선 방향으로 반 패치씩 이동한 네 복사본의 같은 자리에 있는 패치입니다. 그래서 토큰은 자기 "
        "패치의 바깥도 봅니다.",
    ),
    "patches_note": (
        "Patches of {patch} x {patch} pixels, moves of {half} pixels. Hatched: what the move leaves empty. It is filled "
        "with zeros; as the pixels are normalised, zero is the mean colour of the training images.",
        "패치는 {patch} x {patch} 픽셀, 이동은 {half} 픽셀입니다. 빗금: 이동으로 비는 곳. 0으로 채우며, 픽셀이 정규화되어 있으므로 "
        "0은 트레이닝 사진의 평균색입니다.",
    ),
    "no_spt": (
        "Neither of the two chosen models shifts its patches; choose one with SPT in the first view.",
        "고른 두 모델 모두 패치를 이동하지 않습니다. 첫 화면에서 SPT가 있는 모델을 고르세요.",
    ),
    "grid_alt": ("The image {name}, cut into {patches} patches", "{name} 사진을 {patches}개 패치로 자른 것"),
    "pieces_text": (
        "**What one token is made of.** Click a patch in any of the grids, or choose it here.",
        "**토큰 하나의 재료.** 위의 그림에서 패치를 누르거나 여기에서 고르세요.",
    ),
    "patch_row": ("Row of the patch", "패치의 행"),
    "patch_column": ("Column of the patch", "패치의 열"),
    "piece_plain": ("Plain ViT", "보통의 ViT"),
    "piece_spt": (
        "With SPT: original, left-up, left-down, right-up, right-down",
        "SPT: 원본, 왼쪽 위, 왼쪽 아래, 오른쪽 위, 오른쪽 아래",
    ),
    "piece_plain_alt": (
        "The one patch in row {row}, column {column} that a plain ViT makes a token of",
        "보통의 ViT가 토큰으로 만드는 {row}행 {column}열의 패치 하나",
    ),
    "piece_spt_alt": (
        "The five patches in row {row}, column {column} that SPT makes a token of",
        "SPT가 토큰으로 만드는 {row}행 {column}열의 패치 다섯 개",
    ),
    # Temperature.
    "tab_temperature": ("Temperature", "온도"),
    "temperature_text": (
        "Attention divides its scores by a temperature τ before the softmax. A plain ViT keeps √d, the square root of the "
        "head's dimension. **Locality Self-Attention** learns τ. **The lower τ, the more sharply a token overrides_for_size whom it "
        "attends to.**",
        "어텐션은 소프트맥스 앞에서 점수를 온도 τ로 나눕니다. 보통의 ViT는 헤드 차원의 제곱근 √d를 그대로 씁니다. "
        "**지역성 셀프 어텐션**은 τ를 배웁니다. **τ가 낮을수록 토큰은 주목할 대상을 더 뚜렷하게 고릅니다.**",
    ),
    "tau_learned": (
        "- **{model}**: τ began at {start} and lies between {low} and {high}. Layers whose mean lies below the start: "
        "{lower}.",
        "- **{model}**: τ는 {start}에서 시작해 {low}에서 {high} 사이에 있습니다. 평균이 시작값보다 낮은 레이어: {lower}.",
    ),
    "tau_constant": (
        "- **{model}**: τ is {start} in every layer.",
        "- **{model}**: τ는 모든 레이어에서 {start}입니다.",
    ),
    "none": ("none", "없음"),
    "tau_table": ("Every temperature", "모든 온도"),
    "tau_keep": ("Save as CSV", "CSV로 저장"),
    "tau_start_line": ("start √d, and the plain ViT", "시작값 √d, 보통의 ViT"),
    "tau_learned_line": ("learned", "학습한 값"),
    "tau_model": ("model", "모델"),
    "tau_layer": ("layer", "레이어"),
    "tau_head": ("head", "헤드"),
    "tau_start": ("start √d", "시작값 √d"),
    "tau_tau": ("τ", "τ"),
    "head": ("head {head}", "헤드 {head}"),
    # Attention.
    "tab_attention": ("Attention", "어텐션"),
    "attention_text": (
        "**Where does a patch look?** Click a patch in either image, or choose it here: the brighter a patch, the "
        "more attention it gets from the framed one.",
        "**패치는 어디를 보나요?** 사진에서 패치를 누르거나 여기에서 고르세요. 밝은 패치일수록 테두리 친 패치의 주목을 더 받습니다.",
    ),
    "attention_note": (
        "With LSA a patch cannot look at itself: the framed patch stays dark.",
        "LSA에서는 패치가 자기 자신을 볼 수 없으므로 테두리 친 패치는 어둡습니다.",
    ),
    "layer": ("Layer", "레이어"),
    "heads": ("Head", "헤드"),
    "heads_lowest": ("lowest of the heads", "헤드 중 최저"),
    "heads_highest": ("highest of the heads", "헤드 중 최고"),
    "heads_mean": ("mean of the heads", "헤드 평균"),
    "attention_caption": (
        "**{model}**, layer {layer}, {head}: itself {itself} %, the brightest patch {highest} %",
        "**{model}**, 레이어 {layer}, {head}: 자기 자신 {itself} %, 가장 밝은 패치 {highest} %",
    ),
    "attention_alt": (
        "{model}, layer {layer}, {head}: the attention of the patch in row {row}, column {column}, which gives itself "
        "{itself} % and the brightest patch {highest} %",
        "{model}, 레이어 {layer}, {head}: {row}행 {column}열 패치의 어텐션. 자기 자신 {itself} %, 가장 밝은 패치 {highest} %",
    ),
    "self_text": (
        "**How much attention does a token give itself?** The mean over tokens and heads, by layer. With LSA it is zero "
        "by construction.",
        "**토큰은 자기 자신에게 얼마나 주목하나요?** 토큰과 헤드의 평균입니다. LSA에서는 정의상 0입니다.",
    ),
    "self_share": ("to itself, %", "자기 자신, %"),
    "rollout_text": (
        "**What reaches the answer?** Attention rollout: the attention of all layers multiplied, each with half of what "
        "a token held before ([Abnar and Zuidema 2020](https://arxiv.org/abs/2005.00928)).",
        "**무엇이 답에 기여하나요?** 어텐션 롤아웃: 모든 레이어의 어텐션을 곱한 것으로, 각 레이어에서 토큰은 가졌던 것의 절반을 "
        "유지합니다([Abnar, Zuidema 2020](https://arxiv.org/abs/2005.00928)).",
    ),
    "rollout_alt": (
        "Attention rollout of {model}; the patch in row {row}, column {column} counts most",
        "{model}의 어텐션 롤아웃. {row}행 {column}열의 패치가 가장 중요합니다",
    ),
    # Move it.
    "tab_moves": ("Move it", "움직여 보기"),
    "moves_text": (
        "**Does the answer survive a small move?** What an image shows does not change when it is moved by a few "
        "pixels. Each cell is the image moved by so many pixels left, right, up or down; its number is the "
        "probability, in percent, of the answer to the image in the middle.",
        "**조금 움직여도 답이 그대로인가요?** 사진을 몇 픽셀 움직여도 내용은 바뀌지 않습니다. 칸마다 사진을 그만큼 왼쪽, 오른쪽, 위, "
        "아래로 움직인 것이고, 숫자는 가운데 사진에 대한 답의 확률(%)입니다.",
    ),
    "moves_note": (
        "Up to {reach} pixels of what the models see, in every direction; the image's edge is repeated where the move "
        "leaves it empty. A cross: the model answers something else there.",
        "모델이 보는 사진에서 모든 방향으로 최대 {reach} 픽셀. 이동으로 비는 곳은 가장자리 픽셀을 반복해 채웁니다. "
        "가위표: 그 자리에서는 답이 다릅니다.",
    ),
    "moves_caption": (
        "**{model}**: {answer} holds in {held} of {count} places ({share} %)",
        "**{model}**: {count}곳 중 {held}곳({share} %)에서 답이 {answer} 그대로입니다",
    ),
    "moves_alt": (
        "{model}: the probability of {answer} over the moves, from {low} to {high} %; it holds in {held} of {count} "
        "places",
        "{model}: 이동에 따른 {answer}의 확률, {low}에서 {high} %. {count}곳 중 {held}곳에서 답이 그대로",
    ),
    # Training.
    "tab_training": ("Training", "트레이닝"),
    "training_text": (
        "**How the two chosen models learned.** Training images are augmented, so they are the harder ones at first.",
        "**고른 두 모델이 배운 과정.** 트레이닝 사진은 증강되어 있어 처음에는 더 어렵습니다.",
    ),
    "results_text": (
        "**All models of this data**, those at hand and those published, on the test split, which was read once for each. "
        "What else ran on the machine has its share in the minutes.",
        "가지고 있거나 공개된, 이 데이터의 **모든 모델**의 테스트 결과. 테스트 데이터는 모델마다 한 번만 읽었습니다. 걸린 시간(분)에는 같은 컴퓨터에서 함께 실행된 다른 작업의 영향도 들어 있습니다.",
    ),
    "results_keep": ("Save as CSV", "CSV로 저장"),
    "results_model": ("model", "모델"),
    "results_preset": ("preset", "프리셋"),
    "results_data": ("data", "데이터"),
    "results_passes": ("epochs", "에포크"),
    "results_seed": ("seed", "시드"),
    "results_parameters": ("parameters", "파라미터"),
    "results_top1": ("top-1, %", "top-1, %"),
    "results_top5": ("top-5, %", "top-5, %"),
    "results_minutes": ("minutes", "분"),
    "results_hardware": ("hardware", "하드웨어"),
    "curve_top1": ("top-1, %", "top-1, %"),
    "curve_loss": ("cross-entropy, nats", "교차 엔트로피, nat"),
    "epoch": ("epoch", "에포크"),
    "on_training": ("training", "트레이닝"),
    "on_validation": ("validation", "검증"),
    "on_validation_averaged": ("validation, averaged weights", "검증, 평균 가중치"),
    # Use it.
    "tab_usage": ("Use it", "사용하기"),
    "usage_python": ("**In Python**, in a clone of this project:", "**파이썬에서**, 이 프로젝트의 클론에서:"),
    "usage_client": ("**Ask this page from a program:**", "**프로그램에서 이 페이지에 묻기:**"),
    "usage_train": ("**Train it yourself:**", "**직접 트레이닝하기:**"),
    "usage_card": ("The model card", "모델 카드"),
    "usage_cite": ("**Cite the paper:**", "**논문 인용:**"),
}
