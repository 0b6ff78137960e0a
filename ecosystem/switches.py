"""Switches of the model's mechanisms: each can be turned off, and a test shows what is lost then."""

from agents.parameters import Parameters, param


def bool_param(doc: str) -> bool:
    """Declare a mechanism that is on unless a scenario switches it off."""
    declared: bool = param(True, unit="switch", source="model.md 6", role="switch", doc=doc)
    return declared


class MechanismSwitches(Parameters):
    """One switch per mechanism."""

    learning: bool = bool_param("unit cost of chips falls with cumulative output")
    lock_in: bool = bool_param("the leader's software ecosystem lowers substitution between chipmakers, and decays")
    chip_scarcity: bool = bool_param("chip prices carry a premium while lead times are long")
    supply_limits: bool = bool_param("capacity of chipmakers grows no faster than what their suppliers allot")
    stock_provisions: bool = bool_param("excess stock of chips is written down")
    order_padding: bool = bool_param("buyers order more when lead times are long")
    utilisation_pricing: bool = bool_param("rents rise and fall with utilisation")
    investment_hurdle: bool = bool_param("clouds order only as far as rent covers the user cost of the newest chips")
    finance_limits: bool = bool_param("orders are limited by group cash flow or lenders")
    own_silicon: bool = bool_param("clouds that may do so develop their own accelerator")
    software_progress: bool = bool_param("accelerator-hours per token fall with better software")
    quality_cost: bool = bool_param("better models take more accelerator-hours per token")
    load_economies: bool = bool_param("unit cost depends on the load of each deployment")
    reasoning_length: bool = bool_param("tokens per query grow with reasoning and context")
    cache_hits: bool = bool_param("cached input tokens are cheap to serve")
    peak_provisioning: bool = bool_param("hours are rented for the daily peak")
    night_lending: bool = bool_param("hours idle at night are lent to training")
    free_on_small: bool = bool_param("free traffic is served by the small model")
    off_peak: bool = bool_param("off-peak discounts lower what list prices bring in")
    revenue_share: bool = bool_param("labs pay a share of revenue to their cloud partner")
    quality_race: bool = bool_param("training raises quality, with diminishing returns")
    training_luck: bool = bool_param("training runs turn out better or worse by luck")
    release_dates: bool = bool_param("release dates are random")
    spillover: bool = bool_param("labs behind the frontier learn from what others publish")
    open_spillover: bool = bool_param("open weights spread quality faster")
    open_decision: bool = bool_param("labs may decide to publish weights")
    open_hosting: bool = bool_param("clouds host open weights by the token")
    host_diffusion: bool = bool_param("hosts of open weights catch up with the owner's efficiency")
    price_point: bool = bool_param("labs may hold nominal prices and compete in quality")
    price_war: bool = bool_param("labs start price wars on lost share, and end them")
    service_scarcity: bool = bool_param("prices carry a premium while users are turned away")
    rationing: bool = bool_param("where hours are short free traffic waits first and quality of service falls")
    make_or_buy: bool = bool_param("apps compare suppliers, self-hosting and own models at their own volume")
    integrator_sells: bool = bool_param("apps with an own index may sell its calls to buyers that dearer sellers lost")
    ads: bool = bool_param("apps show ads")
    learning_apps: bool = bool_param("apps adjust fees and ad load by their own estimated responses")
    experiments: bool = bool_param("apps vary fees and ad load a little to learn")
    choice_of_earning: bool = bool_param("apps reconsider their ways of earning")
    gated_rollout: bool = bool_param("apps hold back roll-out while the unit margin is negative")
    paid_acquisition: bool = bool_param("apps buy users")
    bundling: bool = bool_param("parents push users into apps")
    taste_shocks: bool = bool_param("brands drift by AR(1) shocks")
    finite_ad_budgets: bool = bool_param("ad prices fall as impressions meet finite budgets")
    enterprise_adoption: bool = bool_param("more firms take up AI (Bass)")
    agent_intensity: bool = bool_param("agents multiply the tokens of a task")
    long_run_demand: bool = bool_param("enterprise demand responds more in the long run")
    enterprise_budget: bool = bool_param("enterprise spending is limited by budgets")
    demand_shocks: bool = bool_param("demand for tokens and hours has aggregate shocks")
    other_demand_growth: bool = bool_param("other compute demand grows on a fading trend")
    funding: bool = bool_param("investors fund firms whose runway is short")
    sentiment: bool = bool_param("investor sentiment moves with surprises")
    circular_finance: bool = bool_param("chipmakers may put profits into their customers' rounds")
    failure: bool = bool_param("firms in arrears without a funder fail; assets are sold")
    entry: bool = bool_param("new apps enter")
    export_leakage: bool = bool_param("export rules leak at a premium")
