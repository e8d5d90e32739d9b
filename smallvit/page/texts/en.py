"""The page in English. `{names}` are filled in by `format_text`."""

TEXTS = {
    # Above the views.
    "introduction": "# Vision Transformers for little data\n\n"
    "A Vision Transformer (ViT) needs much data because nothing tells it that neighbouring pixels belong together. "
    "[Lee, Lee and Song (2021)](https://arxiv.org/abs/2112.13492) add two ideas: **Shifted Patch Tokenization** (SPT) "
    "and **Locality Self-Attention** (LSA). Give the same image to a model with both ideas and to a plain ViT.",
    "no_model": "No model could be loaded. `python train.py --preset laptop` trains two models, and "
    "`python app.py --models runs` shows them.",
    "loading": "The models are being loaded. The first answer may take some seconds.",
    "downloading": "{model} is being downloaded from the Hub.",
    "try_again": "Try again",
    "no_image": "There is no image. Choose an example in the first view, or upload an image.",
    # Compare.
    "tab_compare": "Compare",
    "your_image": "Your image",
    "examples": "Examples",
    "image_url": "Image URL",
    "model_input": "**Model input**",
    "model_input_alt": "The centre square of your image, reduced to {side} by {side} pixels",
    "link": "Copy a link to this result",
    "link_help": "The link works while the image is kept: up to an hour.",
    "model_left": "Left model",
    "model_right": "Right model",
    "card_accuracy": "Test accuracy {top1} %",
    "card_parameters": "{parameters} parameters",
    "card_source": "From the Hub: {repo}",
    "card_time": "{milliseconds} ms",
    "low_confidence": "Low confidence",
    "agree": "Both models answer {left}.",
    "disagree": "The models disagree: {left} and {right}.",
    "all_unsure": "No model is confident. The image may show none of the {count} classes that are listed below.",
    "fair": "Same recipe, same data: the two models differ only in SPT and LSA.",
    "unfair": "The two models differ in more than SPT and LSA, or in neither. Their answers are no measure of the two "
    "ideas.",
    "confidence_title": "What does low confidence mean?",
    "confidence_text": "A model's confidence is low if its top probability is below a threshold. 95 % of the "
    "validation images that the model gets right are above the threshold. The sign is weak: most wrong answers are "
    "above the threshold too. An image of an unknown class, or noise, may be above it. This is the baseline of "
    "[Hendrycks and Gimpel 2017](https://arxiv.org/abs/1610.02136).",
    "classes_title": "Training data and all classes",
    "data_text": "{data}: {train} training images, {validation} validation images and {test} test images of {count} "
    "classes, {side} by {side} pixels.",
    "classes_text": "By superclass:",
    # Shifted patches.
    "tab_patches": "Shifted patches",
    "patches_text": "A plain ViT cuts the image into patches and makes one token from each patch. **Shifted Patch "
    "Tokenization** makes one token from five patches: the patch of the original image, and the patches at the same "
    "place of four copies. Each copy is shifted by half a patch along a diagonal. A token therefore sees beyond the "
    "edge of its patch.",
    "patches_note": "A patch has {patch} x {patch} pixels. A shift moves the image by {half} pixels. Hatched: the area "
    "that the shift leaves empty. It is filled with the mean colour of the training images, which is zero after "
    "normalisation.",
    "no_spt": "Neither of the two chosen models uses SPT. Choose a model with SPT in the first view.",
    "grid_alt": "The image {name}, cut into {patches} patches",
    "pieces_text": "**What is one token made from?** Click a patch in any grid, or choose its row and column.",
    "patch_row": "Row of the patch",
    "patch_column": "Column of the patch",
    "piece_plain": "Plain ViT",
    "piece_spt": "With SPT: original, left-up, left-down, right-up, right-down",
    "piece_plain_alt": "The one patch in row {row}, column {column}, from which a plain ViT makes a token",
    "piece_spt_alt": "The five patches in row {row}, column {column}, from which SPT makes a token",
    # Temperature.
    "tab_temperature": "Temperature",
    "temperature_text": "Attention divides its scores by a temperature τ before the softmax. A plain ViT keeps τ = √d, "
    "where d is the dimension of a head. **Locality Self-Attention** learns τ. **For the same scores, a lower τ gives "
    "sharper attention.**",
    "tau_learned": "- **{model}**: the initial τ is {start}; the learned τ lies between {low} and {high}. The mean τ "
    "is below the initial τ in these layers: {lower}.",
    "tau_constant": "- **{model}**: τ is {start} in every layer.",
    "none": "none",
    "tau_table": "τ of every layer and head",
    "tau_download": "Download as CSV",
    "tau_start_line": "√d: initial τ, and τ of the plain ViT",
    "tau_learned_line": "learned τ",
    "tau_model": "model",
    "tau_layer": "layer",
    "tau_head": "head",
    "tau_start": "initial τ (√d)",
    "tau_tau": "τ",
    "head": "head {head}",
    # Attention.
    "tab_attention": "Attention",
    "attention_text": "**Where does a patch look?** Click a patch in either image, or choose its row and column. The "
    "framed patch looks; the brighter a patch, the more attention it gets.",
    "attention_note": "With LSA a patch cannot look at itself, so the framed patch stays dark.",
    "layer": "Layer",
    "heads": "Head",
    "heads_lowest": "lowest head",
    "heads_highest": "highest head",
    "heads_mean": "mean of the heads",
    "attention_caption": "**{model}**, layer {layer}, {head}: itself {itself} %, the brightest patch {highest} %",
    "attention_alt": "{model}, layer {layer}, {head}: attention of the patch in row {row}, column {column}; to itself "
    "{itself} %, to the brightest patch {highest} %",
    "self_text": "**How much does a token look at itself?** The mean over tokens and heads, by layer. With LSA the "
    "mask makes the share 0.",
    "self_share": "attention to itself, %",
    "rollout_text": "**What reaches the answer?** Attention rollout multiplies the attention of all layers. Each layer "
    "adds half of the identity to half of its attention "
    "([Abnar and Zuidema 2020](https://arxiv.org/abs/2005.00928)).",
    "rollout_alt": "Attention rollout of {model}; the largest share belongs to the patch in row {row}, column {column}",
    # Shift test.
    "tab_shift_test": "Shift test",
    "shift_test_text": "**Does the answer survive a small move?** The image shows the same thing after a move by a few "
    "pixels. Each cell is one move left, right, up or down. Its number is the probability, in percent, of the answer "
    "to the image that is not moved, in the middle.",
    "shift_test_note": "The image moves by up to {reach} pixels of the model input in each direction. Edge pixels are "
    "repeated where the move leaves a gap. A cross marks a different answer.",
    "shift_test_caption": "**{model}** answers {answer} in {held} of {count} places ({share} %)",
    "shift_test_alt": "{model}: the probability of {answer} after each move, from {low} to {high} %; the answer stays "
    "in {held} of {count} places",
    # Training.
    "tab_training": "Training",
    "training_text": "**How the two chosen models learned.** Training images are augmented (flipped, cropped), so the "
    "training curve may begin below the validation curve.",
    "results_text": "**All models of this data**, loaded here or published, on the test split. The test split was read "
    "once for each model. The minutes include what other work on the same machine cost.",
    "results_download": "Download as CSV",
    "results_model": "model",
    "results_preset": "preset",
    "results_data": "data",
    "results_epochs": "epochs",
    "results_seed": "seed",
    "results_parameters": "parameters",
    "results_top1": "top-1, %",
    "results_top5": "top-5, %",
    "results_minutes": "minutes",
    "results_hardware": "hardware",
    "curve_top1": "top-1, %",
    "curve_loss": "cross-entropy, nats",
    "epoch": "epoch",
    "on_training": "training",
    "on_validation": "validation",
    "on_validation_averaged": "validation, averaged weights",
    # Code.
    "tab_usage": "Code",
    "usage_python": "**In Python**, in a clone of this project:",
    "usage_client": "**Ask this page from a program:**",
    "usage_train": "**Train it yourself:**",
    "usage_card": "Model card",
    "usage_cite": "**Cite the paper:**",
}
