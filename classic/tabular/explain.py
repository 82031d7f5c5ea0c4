def explain(model, frame, rows):
    import pandas as pd

    return pd.DataFrame(
        {"column": [], "permutation_drop": [], "permutation_std": [], "mean_abs_shap": []}
    )
