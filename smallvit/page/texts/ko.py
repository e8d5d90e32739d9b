"""The page in Korean. `{names}` are filled in by `format_text`."""

TEXTS = {
    # 화면 위.
    "introduction": "# 적은 데이터로 배우는 비전 트랜스포머\n\n"
    "비전 트랜스포머(ViT)는 이웃한 픽셀이 서로 관련 있다는 사실을 알지 못하므로 많은 데이터가 필요합니다. "
    "[Lee, Lee, Song (2021)](https://arxiv.org/abs/2112.13492)은 두 가지 아이디어를 더합니다. **시프트 패치 토큰화**(SPT)와 "
    "**지역성 셀프 어텐션**(LSA)입니다. 두 아이디어를 쓰는 모델과 기본 ViT에 같은 이미지를 보여 주세요.",
    "no_model": "불러올 수 있는 모델이 없습니다. `python train.py --preset laptop`으로 두 모델을 학습하고 "
    "`python app.py --models runs`로 볼 수 있습니다.",
    "loading": "모델을 불러오는 중입니다. 첫 답까지 몇 초 걸릴 수 있습니다.",
    "downloading": "허브에서 내려받는 중: {model}",
    "try_again": "다시 시도",
    "no_image": "이미지가 없습니다. 첫 화면에서 예시를 고르거나 이미지를 올리세요.",
    # 비교.
    "tab_compare": "비교",
    "your_image": "내 이미지",
    "examples": "예시",
    "image_url": "이미지 URL",
    "model_input": "**모델 입력**",
    "model_input_alt": "가운데 정사각형을 {side} x {side} 픽셀로 줄인 이미지",
    "link": "이 결과의 링크 복사",
    "link_help": "링크는 이미지를 보관하는 동안, 최대 한 시간 동안 열립니다.",
    "model_left": "왼쪽 모델",
    "model_right": "오른쪽 모델",
    "card_accuracy": "테스트 정확도 {top1} %",
    "card_parameters": "파라미터 {parameters}개",
    "card_source": "허브: {repo}",
    "card_time": "{milliseconds} ms",
    "low_confidence": "확신 낮음",
    "agree": "두 모델의 답이 모두 {left}입니다.",
    "disagree": "두 모델의 답이 다릅니다: {left}, {right}",
    "all_unsure": "모든 모델의 확신이 낮습니다. 아래에 있는 {count}개 클래스에 없는 대상일 수 있습니다.",
    "fair": "같은 학습 방법, 같은 데이터: 두 모델은 SPT와 LSA만 다릅니다.",
    "unfair": "두 모델은 SPT와 LSA 말고도 다른 점이 있거나, 이 둘이 같습니다. 답을 비교해도 두 아이디어를 평가할 수는 없습니다.",
    "confidence_title": "확신이 낮다는 것은 무슨 뜻인가요?",
    "confidence_text": "가장 높은 확률이 기준값보다 낮으면 모델의 확신이 낮습니다. 모델이 맞힌 검증 이미지의 95 %는 기준값보다 "
    "높습니다. 약한 신호입니다. 틀린 답도 대부분 기준값보다 높습니다. 모르는 클래스의 이미지나 잡음도 기준값보다 높을 수 있습니다. "
    "[Hendrycks, Gimpel 2017](https://arxiv.org/abs/1610.02136)의 기준선입니다.",
    "classes_title": "학습 데이터와 모든 클래스",
    "data_text": "{data}: 학습 이미지 {train}장, 검증 이미지 {validation}장, 테스트 이미지 {test}장, 클래스 {count}개, "
    "{side} x {side} 픽셀.",
    "classes_text": "상위 클래스별:",
    # 시프트한 패치.
    "tab_patches": "시프트한 패치",
    "patches_text": "기본 ViT는 이미지를 패치로 자르고 패치마다 토큰을 하나 만듭니다. **시프트 패치 토큰화**는 다섯 패치로 토큰 하나를 "
    "만듭니다. 원본의 패치와, 네 복사본의 같은 자리에 있는 패치입니다. 복사본은 대각선으로 패치의 절반만큼 시프트합니다. 그래서 토큰은 "
    "패치 바깥도 봅니다.",
    "patches_note": "패치는 {patch} x {patch} 픽셀입니다. 시프트는 이미지를 {half} 픽셀 옮깁니다. 빗금: 시프트로 비는 곳. 학습 "
    "이미지의 평균색으로 채우며, 정규화한 뒤에는 0입니다.",
    "no_spt": "고른 두 모델 모두 SPT를 쓰지 않습니다. 첫 화면에서 SPT를 쓰는 모델을 고르세요.",
    "grid_alt": "{patches}개 패치로 자른 {name} 이미지",
    "pieces_text": "**토큰 하나는 무엇으로 만드나요?** 위의 그림에서 패치를 누르거나 행과 열을 고르세요.",
    "patch_row": "패치의 행",
    "patch_column": "패치의 열",
    "piece_plain": "기본 ViT",
    "piece_spt": "SPT: 원본, 왼쪽 위, 왼쪽 아래, 오른쪽 위, 오른쪽 아래",
    "piece_plain_alt": "기본 ViT가 토큰을 만드는 {row}행 {column}열의 패치 하나",
    "piece_spt_alt": "SPT가 토큰을 만드는 {row}행 {column}열의 패치 다섯 개",
    # 온도.
    "tab_temperature": "온도",
    "temperature_text": "어텐션은 소프트맥스 앞에서 점수를 온도 τ로 나눕니다. 기본 ViT는 τ = √d를 그대로 씁니다. d는 헤드의 "
    "차원입니다. **지역성 셀프 어텐션**은 τ를 학습합니다. **점수가 같다면 τ가 낮을수록 어텐션이 뚜렷해집니다.**",
    "tau_learned": "- **{model}**: τ의 초깃값은 {start}, 학습한 값은 {low}에서 {high} 사이입니다. 평균이 초깃값보다 낮은 레이어: "
    "{lower}.",
    "tau_constant": "- **{model}**: τ는 모든 레이어에서 {start}입니다.",
    "none": "없음",
    "tau_table": "레이어와 헤드의 모든 τ",
    "tau_download": "CSV 내려받기",
    "tau_start_line": "√d: τ의 초깃값, 기본 ViT의 τ",
    "tau_learned_line": "학습한 τ",
    "tau_model": "모델",
    "tau_layer": "레이어",
    "tau_head": "헤드",
    "tau_start": "초깃값 τ (√d)",
    "tau_tau": "τ",
    "head": "헤드 {head}",
    # 어텐션.
    "tab_attention": "어텐션",
    "attention_text": "**패치는 어디를 보나요?** 그림에서 패치를 누르거나 행과 열을 고르세요. 테두리 친 패치가 봅니다. 밝은 패치일수록 "
    "어텐션을 많이 받습니다.",
    "attention_note": "LSA에서는 패치가 자신을 볼 수 없으므로 테두리 친 패치가 어둡습니다.",
    "layer": "레이어",
    "heads": "헤드",
    "heads_lowest": "가장 낮은 헤드",
    "heads_highest": "가장 높은 헤드",
    "heads_mean": "헤드 평균",
    "attention_caption": "**{model}**, 레이어 {layer}, {head}: 자신 {itself} %, 가장 밝은 패치 {highest} %",
    "attention_alt": "{model}, 레이어 {layer}, {head}: {row}행 {column}열 패치의 어텐션. 자신 {itself} %, 가장 밝은 패치 "
    "{highest} %",
    "self_text": "**토큰은 자신을 얼마나 보나요?** 토큰과 헤드의 평균, 레이어별. LSA에서는 마스크 때문에 0입니다.",
    "self_share": "자신에 대한 어텐션, %",
    "rollout_text": "**무엇이 답까지 전해지나요?** 어텐션 롤아웃은 모든 레이어의 어텐션을 곱합니다. 레이어마다 어텐션의 절반에 단위 "
    "행렬의 절반을 더합니다([Abnar, Zuidema 2020](https://arxiv.org/abs/2005.00928)).",
    "rollout_alt": "{model}의 어텐션 롤아웃. {row}행 {column}열 패치의 몫이 가장 큼",
    # 이동 테스트.
    "tab_shift_test": "이동 테스트",
    "shift_test_text": "**조금 움직여도 답이 그대로인가요?** 이미지를 몇 픽셀 움직여도 내용은 그대로입니다. 칸 하나는 왼쪽, 오른쪽, 위, "
    "아래로 한 번 이동한 것입니다. 숫자는 가운데의, 움직이지 않은 이미지에 대한 답의 확률(%)입니다.",
    "shift_test_note": "이미지는 모델 입력에서 모든 방향으로 최대 {reach} 픽셀 이동합니다. 이동으로 비는 곳은 가장자리 픽셀을 반복해 "
    "채웁니다. 가위표는 답이 다르다는 표시입니다.",
    "shift_test_caption": "**{model}**의 답은 {count}곳 중 {held}곳({share} %)에서 {answer}입니다",
    "shift_test_alt": "{model}: 이동할 때마다 {answer}의 확률, {low}에서 {high} %. {count}곳 중 {held}곳에서 답이 그대로",
    # 학습.
    "tab_training": "학습",
    "training_text": "**고른 두 모델이 학습한 과정.** 학습 이미지는 증강(뒤집기, 자르기)하므로 처음에는 학습 곡선이 검증 곡선보다 낮을 "
    "수 있습니다.",
    "results_text": "여기에 있거나 공개된, 이 데이터의 **모든 모델**의 테스트 결과. 테스트 데이터는 모델마다 한 번만 읽었습니다. "
    "시간(분)에는 같은 컴퓨터의 다른 작업도 영향을 줍니다.",
    "results_download": "CSV 내려받기",
    "results_model": "모델",
    "results_preset": "프리셋",
    "results_data": "데이터",
    "results_epochs": "에포크",
    "results_seed": "시드",
    "results_parameters": "파라미터",
    "results_top1": "top-1, %",
    "results_top5": "top-5, %",
    "results_minutes": "분",
    "results_hardware": "하드웨어",
    "curve_top1": "top-1, %",
    "curve_loss": "교차 엔트로피, nat",
    "epoch": "에포크",
    "on_training": "학습",
    "on_validation": "검증",
    "on_validation_averaged": "검증, 평균 가중치",
    # 코드.
    "tab_usage": "코드",
    "usage_python": "**파이썬에서**, 이 프로젝트의 클론에서:",
    "usage_client": "**프로그램에서 이 페이지에 묻기:**",
    "usage_train": "**직접 학습하기:**",
    "usage_card": "모델 카드",
    "usage_cite": "**논문 인용:**",
}
